"""Writes the fixture of the C tests: a tiny network with random weights, and what PyTorch says it does.

    fixture.py FOLDER

FOLDER/tiny.safetensors is the network (float16), FOLDER/tiny-cases.safetensors the cases (float32, channels last): for
1x1, 7x5, 33x51 (width x height), `grey`, `curve` and `white` (noise without grain) the tensors NAME.y, NAME.level (or
NAME.curve), NAME.grain, NAME.mean, NAME.covariance and NAME.judgement, as in reference.py. The same PyTorch writes the
same bytes every time.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import sys
from pathlib import Path

import numpy as np
import torch

import model
import noise
import reference
import tensorfile

METADATA = {
    'format': 'pt', 'name': 'tiny', 'version': '1', 'architecture': 'ScoreNet', 'widths': '8,12,16', 'blocks': '2,1,3',
    'shuffle': '2', 'noise_planes': '9', 'noise_range_levels': '0-75', 'encoding': "R'G'B' 0-1",
    'training': 'none: random weights for tests', 'licence': 'GPL-3.0-or-later'}
CASES = {'1x1': (1, 1, 3), '7x5': (5, 7, 3), '33x51': (51, 33, 3), 'grey': (9, 21, 1),
         'curve': (19, 30, 3), 'white': (10, 13, 3)}                                           # height, width, channels


def random_weights():
    """-> {name: float16 array}, large enough that every layer shows in the result."""
    torch.manual_seed(1)
    net = model.ScoreNet(*([int(n) for n in METADATA[key].split(',')] for key in ('widths', 'blocks')),
                         noise_planes=int(METADATA['noise_planes']), judges_level=True, white_head=True)
    net.tail.weight.data *= 10
    net.h2.weight.data *= 10
    net.w2.weight.data *= 10
    net.w3.weight.data *= 3
    net.l2.weight.data *= 10
    for layer in (net.h1, net.h2, net.w1, net.w2, net.w3, net.l1, net.l2):
        torch.nn.init.normal_(layer.bias)
    return {name: tensor.numpy().astype('<f2') for name, tensor in net.state_dict().items()}


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    tensorfile.write(folder / 'tiny.safetensors', random_weights(), METADATA)
    rng = np.random.default_rng(1)
    cases = {}
    for name, shape in CASES.items():
        cases[name + '.y'] = rng.uniform(-0.1, 1.1, shape).astype('<f4')
        kind, shape = ('curve', (3, noise.KNOTS)) if name == 'curve' else ('level', shape)
        cases[f'{name}.{kind}'] = rng.uniform(0.01, 0.3, shape).astype('<f4')
        cases[name + '.grain'] = (rng.uniform(-0.5, 2, noise.GRAIN) * (name != 'white')).astype('<f4')
    cases |= reference.denoise_all(model.load(folder / 'tiny.safetensors'), cases)
    tensorfile.write(folder / 'tiny-cases.safetensors', cases, {})


if __name__ == '__main__':
    main(Path(sys.argv[1]))
