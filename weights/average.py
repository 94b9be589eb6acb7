"""The weighted mean of two networks, one trained on from the other: what the later one learned anew, without losing all
of what it forgot (Wortsman et al. 2022, "Robust fine-tuning of zero-shot models").

    average.py EARLIER.safetensors LATER.safetensors SHARE OUT.safetensors --training 'one line on data and recipe'

SHARE is the later one's, 0 to 1. The earlier network may be smaller (grow.py). Heads that only one of them has stay
as they are, to be trained on (calibrate.py). Metadata are the later one's.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import argparse

import model
import tensorfile
from grow import grow


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('earlier')
    parser.add_argument('later')
    parser.add_argument('share', type=float)
    parser.add_argument('out')
    parser.add_argument('--training', required=True)
    arguments = parser.parse_args()

    later, earlier = model.load(arguments.later), model.load(arguments.earlier)
    grown = grow(earlier, later.widths, later.blocks, later.noise_planes,
                 earlier.white_head and later.white_head).state_dict()
    tensors = earlier.state_dict() | later.state_dict()
    tensors |= {name: arguments.share * tensors[name] + (1 - arguments.share) * tensor for name, tensor in grown.items()}
    tensorfile.write(arguments.out, {name: tensor.numpy().astype('<f2') for name, tensor in tensors.items()},
                     tensorfile.read(arguments.later)[1] | {'training': arguments.training})


if __name__ == '__main__':
    main()
