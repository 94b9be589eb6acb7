"""Packs the most useful crops of a training set into ZIP archives that train.py reads, for a machine without network.

    pack.py FOLDER... --out PACK --megabytes 48 [--archives 2] [--side 256]

Writes PACK-1.zip, PACK-2.zip ... of at most that many MiB each, all different. Crops lie on a grid. A photo gets crops
by the square root of its area, as in training, and of its crops those with more detail are likelier to be taken: by the
bytes that lossless WebP needs for them, flat sky costs next to nothing and teaches next to nothing.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import argparse
import io
import zipfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

import photos


def grid(length, side):
    """Where crops begin: side by side, the last one flush with the end."""
    return sorted({*range(0, length - side + 1, side), length - side})


def crops(file, side):
    """-> the crops of one photo as lossless WebP."""
    image, packed = Image.open(file).convert('RGB'), []
    for top in grid(image.height, side):
        for left in grid(image.width, side):
            data = io.BytesIO()
            image.crop((left, top, left + side, top + side)).save(data, 'WebP', lossless=True, method=4)
            packed.append(data.getvalue())
    return packed


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('folders', nargs='+')
    parser.add_argument('--out', required=True)
    parser.add_argument('--megabytes', type=float, required=True)
    parser.add_argument('--archives', type=int, default=1)
    parser.add_argument('--side', type=int, default=256)
    arguments = parser.parse_args()

    files = [f for f in photos.files(arguments.folders) if min(Image.open(f).size) >= arguments.side]
    with ProcessPoolExecutor() as pool:
        packed = list(pool.map(crops, files, [arguments.side] * len(files)))
    rng = np.random.default_rng(0)
    keyed = []
    for file, parts in zip(files, packed):
        # Efraimidis and Spirakis (2006): the largest of u^(1/w) are a sample without replacement by weight w.
        size = np.array([len(part) for part in parts])
        weight = size / size.sum() * len(parts) ** 0.5
        names = [f'{Path(file).stem}-{k}' for k in range(len(parts))]
        keyed += zip(np.log(rng.random(len(parts))) / weight, names, parts)
    keyed.sort(reverse=True)

    total = len(keyed)
    for number in range(1, arguments.archives + 1):
        left, count = arguments.megabytes * 2 ** 20 - 22, 0
        with zipfile.ZipFile(f'{arguments.out}-{number}.zip', 'w') as archive:
            while keyed:
                _, name, data = keyed[0]
                left -= len(data) + 2 * len(name) + 100          # with its headers
                if left < 0:
                    break
                archive.writestr(zipfile.ZipInfo(name + '.webp'), data)
                keyed.pop(0)
                count += 1
        print(f'{arguments.out}-{number}.zip: {count} crops of {total}')


if __name__ == '__main__':
    main()
