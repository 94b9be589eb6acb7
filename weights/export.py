"""Turns a training checkpoint into the weights file the program reads.

    export.py CHECKPOINT OUT.safetensors --version 1 --training 'one line on data and recipe' --photos VALIDATION

Writes the running mean of the weights as float16 and prints what the rounding costs, in dB, on crops of the photos in
the folder VALIDATION. The same checkpoint gives the same bytes.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import argparse
import math
from pathlib import Path

import torch

import model
import tensorfile
from photos import Photos

CROPS, SIDE = 16, 128


@torch.inference_mode()
def psnr(net, x, level):
    """x: (B,3,H,W) clean; level: noise sd, a number. The noise is the same at every call."""
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    mean, _ = net(x + level * noise, torch.full_like(x, level))
    return -10 * math.log10((mean - x).square().mean())


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('checkpoint')
    parser.add_argument('out')
    parser.add_argument('--version', required=True)
    parser.add_argument('--training', required=True)
    parser.add_argument('--photos', required=True)
    arguments = parser.parse_args()

    state = torch.load(arguments.checkpoint, map_location='cpu')
    net = model.ScoreNet(**state['shape'])
    net.load_state_dict(state['ema'])
    tensorfile.write(arguments.out, {name: tensor.numpy().astype('<f2') for name, tensor in state['ema'].items()}, {
        'format': 'pt', 'name': f'grainwise {Path(arguments.out).stem}', 'version': arguments.version, 'architecture': 'ScoreNet',
        'widths': ','.join(map(str, net.widths)), 'blocks': ','.join(map(str, net.blocks)), 'shuffle': str(net.shuffle),
        'noise_planes': str(net.noise_planes), 'noise_range_levels': '0-75', 'encoding': "R'G'B' 0-1",
        'training': arguments.training, 'licence': 'CC-BY-SA-4.0'})

    x = Photos([arguments.photos], SIDE).crops(CROPS, SIDE, torch.Generator().manual_seed(0))
    for sigma in (1, 5, 25, 75):
        full, half = psnr(net, x, sigma / 255), psnr(model.load(arguments.out), x, sigma / 255)
        print(f'noise {sigma} levels: float32 {full:.3f} dB, float16 {half - full:+.4f} dB')


if __name__ == '__main__':
    main()
