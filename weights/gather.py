"""Gathers the training photographs, on a Debian 13 system.

    gather.py OUT [--folder FOLDER LICENCE]...

Downloads the Debian packages named in photos.tsv (apt-get download, nothing is installed), unpacks them, downscales
each photo by the factor that takes its JPEG blocks away, and writes lossless WebP: OUT/train for training,
OUT/validation for the packages held out, and OUT/manifest.tsv with source and licence of every photo. Other folders of
photos, already clean at full size, are taken as they are, and drawn pictures are added (drawn.py).

Left out are photos too small for a training crop, near duplicates, and whatever resembles a photo of the evaluation
set, listed in evaluation-hashes.tsv by `gather.py --hash FOLDER`. The list holds Kodak24; by name, nothing in
photos.tsv belongs to CBSD68, McMaster, Urban100 or Set12.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import argparse
import csv
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

import drawn

HERE = Path(__file__).parent
HELD_OUT = {'gramps', 'libjxl-testdata', 'mate-backgrounds'}     # whole packages, so that no scene is in both sets
SMALLEST = 160                # pixels, shorter side
SAME, EVALUATION = 20, 50     # of 240 bits; resized or JPEG copies were found to differ by 15 at most, others by 53


def fingerprint(image):
    """240 bits: is each of 16x16 grey means brighter than its neighbour to the left?"""
    small = np.asarray(image.convert('L').resize((16, 16), Image.Resampling.BOX)).astype(int)
    return small[:, 1:].ravel() > small[:, :-1].ravel()


def windows(image):
    """Fingerprints of the whole photo and of the squares in it: the evaluation photos are square crops, a little
    smaller than the shorter side of the originals."""
    yield fingerprint(image)
    image = image.convert('L')
    image.thumbnail((256, 256), Image.Resampling.BOX)
    short = min(image.size)
    for side in (short, round(short * 500 / 512)):
        for left in range(0, image.width - side + 1, 2):
            for top in range(0, image.height - side + 1, 2):
                yield fingerprint(image.crop((left, top, left + side, top + side)))


def distance(prints, known):
    """Smallest number of bits in which any of `prints` differs from any of `known`."""
    if not known:
        return np.inf
    return (np.stack(list(prints))[:, None] != np.stack(known)[None]).sum(2).min()


def packaged(rows):
    """The photos of photos.tsv: (name, image, set, source, licence)"""
    for package in sorted({row['package'] for row in rows}):
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(['apt-get', '-q', 'download', package], cwd=folder, check=True)
            deb, = Path(folder).glob('*.deb')
            subprocess.run(['dpkg-deb', '-x', deb, folder], check=True)
            version = subprocess.run(['dpkg-deb', '-f', deb, 'Version'], check=True, capture_output=True,
                                     text=True).stdout.strip()
            for number, row in enumerate(row for row in rows if row['package'] == package):
                file = Path(folder) / row['path_in_package']
                if not file.exists():
                    print('missing:', package, row['path_in_package'])
                    continue
                image = Image.open(file).convert('RGB')
                size = [round(n / float(row['downscale'])) for n in image.size]
                yield (f'{package}-{number:02}-{file.stem}', image.resize(size, Image.Resampling.LANCZOS),
                       'validation' if package in HELD_OUT else 'train',
                       f'{package} {version} {row["path_in_package"]}', row['licence'])


def in_folder(folder, licence):
    for file in sorted(Path(folder).iterdir()):
        yield file.stem, Image.open(file).convert('RGB'), 'train', file.name, licence


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('out', type=Path, nargs='?')
    parser.add_argument('--folder', nargs=2, action='append', default=[], metavar=('FOLDER', 'LICENCE'))
    parser.add_argument('--hash', type=Path, metavar='FOLDER', help='print the fingerprints of these photos and stop')
    arguments = parser.parse_args()
    if arguments.hash:
        for file in sorted(arguments.hash.iterdir()):
            print(file.stem, np.packbits(fingerprint(Image.open(file))).tobytes().hex(), sep='\t')
        return

    with open(HERE / 'evaluation-hashes.tsv') as file:
        evaluation = [np.unpackbits(np.frombuffer(bytes.fromhex(line.split()[1]), np.uint8)).astype(bool)
                      for line in file]
    with open(HERE / 'photos.tsv', newline='') as file:
        rows = list(csv.DictReader(file, delimiter='\t'))
    for part in ('train', 'validation'):
        (arguments.out / part).mkdir(parents=True, exist_ok=True)
    kept = []
    with open(arguments.out / 'manifest.tsv', 'w') as manifest:
        print('set', 'file', 'width', 'height', 'licence', 'source', sep='\t', file=manifest)
        # Held-out packages first: of two near duplicates the one for validation stays.
        sources = [packaged([r for r in rows if r['package'] in HELD_OUT]),
                   packaged([r for r in rows if r['package'] not in HELD_OUT])]
        sources += [in_folder(*pair) for pair in arguments.folder]
        sources.append((name, image, 'train', 'drawn.py', 'CC0-1.0') for name, image in drawn.pictures())
        for name, image, part, source, licence in (photo for photos in sources for photo in photos):
            own = fingerprint(image)
            if min(image.size) < SMALLEST:
                print('too small:', source)
            elif distance([own], kept) <= SAME:
                print('near duplicate:', source)
            elif distance(windows(image), evaluation) <= EVALUATION:
                print('resembles an evaluation photo:', source)
            else:
                kept.append(own)
                image.save(arguments.out / part / f'{name}.webp', lossless=True, method=2)
                print(part, name, image.width, image.height, licence, source, sep='\t', file=manifest)


if __name__ == '__main__':
    main()
