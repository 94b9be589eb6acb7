"""Is the noise of synthetic cameras (camera.py) like that of real ones?

    compare_noise.py PAIRS PHOTOS

PAIRS: a folder of real photos, as for evaluate_cameras.py; PHOTOS: clean ones, which synthetic cameras take at ISO 1600
to 6400. Prints a table: the median over photos, and within which 80 % of them lie.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import argparse
from pathlib import Path

import numpy as np
import torch

from evaluate_cameras import SHOT, SIDE, real_pairs, synthetic_pair
from photos import Photos

COUNT = 96                              # synthetic photos
ISO = 1600, 3200, 3200, 6400


def statistics(x, y):
    """x, y: (H,W,3) uint8, clean and noisy -> figures of the noise by name; level in 8-bit levels"""
    noise = np.float64(y) - x
    luma = noise.mean(2)
    chroma = noise - luma[..., None]
    brightness = x.mean(2, dtype=np.float64)
    dark, bright = np.quantile(brightness, [1 / 3, 2 / 3])

    def level(n):
        return np.sqrt((n ** 2).mean())

    def correlation(n, lag):
        return (n[:, lag:] * n[:, :-lag]).mean() / (n * n).mean()

    return {'level': level(noise),
            'brightest over darkest third': level(noise[brightness >= bright]) / level(noise[brightness <= dark]),
            'chroma over luma, 1 if white': level(chroma) / level(luma) / np.sqrt(2)} \
        | {f'autocorrelation of {name}, {lag} pixel{"s" * (lag > 1)}': correlation(n, lag)
           for name, n in (('luma', luma), ('chroma', chroma)) for lag in (1, 2, 4)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('pairs', type=Path)
    parser.add_argument('photos', type=Path)
    arguments = parser.parse_args()
    generator, photos = torch.Generator().manual_seed(0), Photos([arguments.photos], SIDE)
    real = [statistics(x, y) for _, x, y in real_pairs(arguments.pairs)]
    synthetic = [statistics(*synthetic_pair(photos, generator, shot=ISO[i % len(ISO)] * SHOT)) for i in range(COUNT)]
    print('| noise | real pairs | synthetic cameras |\n|---|---|---|')
    for name in real[0]:
        print(f'| {name} |', ' | '.join('{1:.2f} ({0:.2f} to {2:.2f})'.format(
            *np.quantile([row[name] for row in rows], [0.1, 0.5, 0.9])) for rows in (real, synthetic)), '|')


if __name__ == '__main__':
    main()
