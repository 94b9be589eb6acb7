"""Trains the covariance head of finished weights on, and nothing else: the mean stays as it is to the last bit.

    calibrate.py WEIGHTS.safetensors PHOTOS... --out OUT.safetensors --version N [--steps 3000]

While everything is trained together, the head gets that share of the gradient which leaves the mean in peace, and follows
features that still change. Here it has the features to itself, and the likelihood without beta-NLL's weights. Noise is that
of train.py, cameras' included, but less of it: see experiments.md for what its share does.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import argparse

import torch

import model
import noise
import tensorfile
from photos import Photos, with_grain
from train import WARM_UP, camera_losses, white_losses

HEAD = 'h1', 'h2'
BATCH, CROP = 8, 96
CAMERA = 8                          # one step in so many has cameras' noise, if the network knows it
FALL = 0.5                          # share of the steps in which the rate falls to zero
REPORT = 200                        # steps


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('weights')
    parser.add_argument('photos', nargs='+', help='as for train.py')
    parser.add_argument('--out', required=True)
    parser.add_argument('--version', required=True)
    parser.add_argument('--steps', type=int, default=3000)
    parser.add_argument('--rate', type=float, default=3e-3)
    parser.add_argument('--level-error', type=float, default=0.2, help='as for train.py')
    arguments = parser.parse_args()

    torch.manual_seed(0)
    torch.set_flush_denormal(True)
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    net = model.load(arguments.weights).to(device, memory_format=torch.channels_last).requires_grad_(False)
    head = {name: p.requires_grad_(True) for name, p in net.named_parameters() if name.split('.')[0] in HEAD}
    optimiser = torch.optim.Adam(head.values(), betas=(0.9, 0.99))
    photos, generator = Photos(arguments.photos, CROP, device), torch.Generator(device).manual_seed(0)
    recent = []
    for step in range(arguments.steps):
        optimiser.param_groups[0]['lr'] = arguments.rate * min(
            1, (step + 1) / WARM_UP, (1 - step / arguments.steps) / FALL)
        x = photos.crops(BATCH, CROP, generator)
        if net.noise_planes > 3 and step % CAMERA == 0:
            _, loss, zms = camera_losses(net, x, arguments.level_error, generator, beta=0)
        else:
            x = with_grain(x, generator)
            _, loss, zms = white_losses(net, x, noise.levels(x, generator), beta=0)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(head.values(), 1.0)
        optimiser.step()
        optimiser.zero_grad()
        recent.append(torch.stack([loss.detach(), zms]))
        if (step + 1) % REPORT == 0:
            print('step {}: likelihood {:.4f}, ZMS {:.3f}'.format(step + 1, *torch.stack(recent).mean(0)), flush=True)
            recent.clear()

    tensors, metadata = tensorfile.read(arguments.weights)
    tensors |= {name: p.detach().cpu().numpy().astype('<f2') for name, p in head.items()}
    tensorfile.write(arguments.out, tensors, metadata | {
        'version': arguments.version,
        'training': f'{metadata["training"]}; covariance head {arguments.steps} steps more by calibrate.py'})


if __name__ == '__main__':
    main()
