"""Measures the program on cameras' noise, nothing told to it: is the result close, and is the uncertainty true?

    evaluate_cameras.py PROGRAM [--model NAME|FILE] [--pairs FOLDER] [--treated FOLDER] [--photos FOLDER]
                        [--white FOLDER] [--clean FOLDER] [--figures OUT.png]

--pairs: real photos NAME_real.* and, as good as clean, NAME_mean.* of the same scene; a row each, and the worst five,
where the error is farthest from the one predicted, in OUT.png. --treated: the same, as people treat photos before they
denoise them; a row for every treatment. --photos: clean photos, taken by synthetic cameras (camera.py); a row for every
ISO, JPEG quality, method of demosaicing and kind of photo, the rest as it comes. --white: clean photos with white
noise; a row for every level, of the estimate alone, over what was added. --clean: clean photos as they are, and of each
the crop that is texture all over; what is estimated there is wrong but for the noise that the photo has itself.

* noisy, denoised: PSNR in dB, clipped to 0-1
* level: estimated noise level over the true one (both root mean squares); give or take: how far off it may be, as the
  program says; as sure as said: the share of photos where it is no farther off, 68 % if what it says is right
* error / variance: mean squared error over mean predicted variance; 1 is right, above 1 too sure
* self-check: the same ratio as the program itself expects it, without a clean photo; by it, if it is above 1, the
  program has widened the variance already

SPDX-License-Identifier: GPL-3.0-or-later
"""
import argparse
import io
import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import tifffile
import torch
from PIL import Image

from camera import photograph
from evaluate import draw_row, sheet
from photos import Photos, files

COUNT, SIDE = 24, 384                   # synthetic photos a row
WORST = 5
WHITE_LEVELS = 2, 5, 15, 25, 50
SHOT = 5e-7                             # variance of the shot noise at white, over the ISO
TEXTURED, BLOCK = 256, 16               # pixels a side, of textured crops and of their blocks
SURE = 0.3                              # give or take less than 30 %
CHOICE = 8                              # crops of which the smoothest or most textured is taken
SMALL = 96                              # pixels a side


def denoise(program, model, y):
    """y: (H,W,3) uint8 -> mean, sd (white = 1), what the program reports"""
    with tempfile.TemporaryDirectory() as folder:
        source, mean, sd = (Path(folder) / name for name in ('in.tif', 'mean.tif', 'sd.tif'))
        tifffile.imwrite(source, y)
        report = subprocess.run([program, 'denoise', '--json', source, mean, '--uncertainty', sd]
                                + (['--model', model] if model else []), check=True, capture_output=True).stdout
        return tifffile.imread(mean) / np.float32(255), tifffile.imread(sd), json.loads(report)


def estimate(program, y):
    """y: (H,W,3) -> noise level in 8-bit levels, how far off it may be (the standard deviation of its logarithm)"""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / 'in.tif'
        tifffile.imwrite(source, y, photometric='rgb' if y.ndim == 3 else 'minisblack')
        run = subprocess.run([program, 'estimate', '--json', source], check=True, capture_output=True)
        found = json.loads(run.stdout)
        return found['noise_level'], found['level_error']


class Case:
    """x, y: (H,W,3) or (H,W) uint8, clean and noisy"""

    def __init__(self, program, model, x, y):
        self.mean, self.sd, report = denoise(program, model, y)
        self.x, self.y = np.float32(x) / 255, np.float32(y) / 255
        noise, error = (np.mean((a - self.x) ** 2, dtype=np.float64) for a in (self.y, self.mean))
        self.noisy, self.denoised = -10 * np.log10([noise, error])
        self.level, self.give_or_take = report['noise_level'] / 255 / np.sqrt(noise), estimate(program, y)[1]
        self.ratio = error / max(np.mean(self.sd ** 2, dtype=np.float64), 1e-12)
        self.check = report['self_check']['error_ratio']


def real_pairs(folder):
    """-> name, clean and noisy (H,W,3) uint8"""
    for file in sorted(folder.glob('*_real.*')):
        clean = file.with_name(file.name.replace('_real.', '_mean.'))
        yield file.stem.removesuffix('_real'), *(np.asarray(Image.open(f).convert('RGB')) for f in (clean, file))


def as_it_comes(photos, generator):
    return photos.crops(1, SIDE, generator)


def by_texture(rank):
    """Of some crops the one of that rank by how much the smoothest tenth of its blocks varies."""
    def take(photos, generator):
        crops = photos.crops(CHOICE, SIDE, generator)
        blocks = crops.unflatten(3, (-1, BLOCK)).unflatten(2, (-1, BLOCK)).std((3, 5)).mean(1)
        order = blocks.flatten(1).quantile(0.1, 1).argsort()
        return crops[order[rank]][None]
    return take


def synthetic_pair(photos, generator, take=as_it_comes, **settings):
    """-> clean and noisy (H,W,3) uint8; settings as for photograph()"""
    pair = photograph(take(photos, generator), generator, **settings)
    return [(255 * t[0].permute(1, 2, 0)).round().byte().numpy() for t in pair]


def summary(cases):
    noisy, denoised, level, give_or_take, ratio = np.transpose(
        [[c.noisy, c.denoised, c.level, c.give_or_take, c.ratio] for c in cases])
    return (f'{noisy.mean():.2f} | {denoised.mean():.2f} | {np.median(level):.2f} | '
            f'{(abs(np.log(np.maximum(level, 1e-6))) < give_or_take).mean():.0%} | '
            f'{np.median(ratio):.2f} | {((0.5 < ratio) & (ratio < 2)).mean():.0%}')


def resized(factor):
    method = Image.Resampling.BOX if factor < 1 else Image.Resampling.BICUBIC
    return lambda picture: np.asarray(
        Image.fromarray(picture).resize([int(side * factor) for side in picture.shape[1::-1]], method))


def saved(quality):
    def save(picture):
        file = io.BytesIO()
        Image.fromarray(picture).save(file, 'JPEG', quality=quality)
        return np.asarray(Image.open(file))
    return save


def toned(curve):
    return lambda picture: (255 * curve(picture / 255).clip(0, 1)).round().astype(np.uint8)


def to_grey(picture):
    return picture.mean(2).round().astype(np.uint8)


def evaluate_treated(program, model, folder):
    """JPEG is not what the clean photo gets, so that what it takes is counted."""
    middle = lambda picture: picture[100:240, 200:340]
    treatments = {'half the size': (resized(0.5),) * 2, '1.5 times the size': (resized(1.5),) * 2,
                  'JPEG 80': (np.asarray, saved(80)), 'JPEG 50': (np.asarray, saved(50)),
                  'shadows raised': (toned(lambda t: t ** (1 / 1.6)),) * 2,
                  '1.8 times as bright': (toned(lambda t: 1.8 * t),) * 2,
                  'grey': (to_grey,) * 2, '140x140 of it': (middle,) * 2}
    print('| treated | noisy | denoised | level, median | as sure as said | error / variance, median | in 0.5-2 |\n'
          '|---|---|---|---|---|---|---|')
    for name, (to_clean, to_noisy) in treatments.items():
        cases = [Case(program, model, to_clean(x), to_noisy(y)) for _, x, y in real_pairs(folder)]
        print(f'| {name} |', summary(cases), '|', flush=True)


def evaluate_pairs(program, model, folder, figures):
    print('| photo | noisy | denoised | level | give or take | error / variance | self-check |\n|---|---|---|---|---|---|---|')
    cases = {}
    for name, x, y in real_pairs(folder):
        case = cases[name] = Case(program, model, x, y)
        print(f'| {name} | {case.noisy:.2f} | {case.denoised:.2f} | {case.level:.2f} | '
              f'{case.give_or_take:.2f} | {case.ratio:.2f} | {case.check:.2f} |', flush=True)
    print('\n| all | noisy | denoised | level, median | as sure as said | error / variance, median | in 0.5-2 |\n'
          '|---|---|---|---|---|---|---|')
    print('| mean |', summary(cases.values()), '|\n')
    if figures:
        worst = sorted(cases, key=lambda name: -abs(np.log(cases[name].ratio)))[:WORST]
        plot, axes = sheet(len(worst))
        for row, name in zip(axes, worst):
            case = cases[name]
            draw_row(row, case.x, case.y, case.mean, case.sd, f'{name}, error / variance {case.ratio:.2f}')
        plot.savefig(figures, dpi=60, bbox_inches='tight')


def evaluate_synthetic(program, model, folder):
    clean = Photos([folder], SIDE)
    settings = {f'ISO {iso}': {'shot': iso * SHOT} for iso in (100, 400, 1600, 6400)} \
        | {f'JPEG {quality}': {'quality': quality} for quality in (98, 90, 80, 65)} \
        | {f'demosaicing {name}': {'method': k} for k, name in enumerate(('bilinear', 'by gradients', 'along edges'))}
    kinds = {'most texture of eight': by_texture(-1), 'least texture of eight': by_texture(0),
             'dark': lambda *which: as_it_comes(*which) * 0.25,
             'overexposed': lambda *which: (as_it_comes(*which) * 1.8).clamp(max=1)}
    settings |= {name: {'take': take} for name, take in kinds.items()}
    parts = {'grey': to_grey, f'small, {SMALL}x{SMALL}': lambda picture: picture[:SMALL, :SMALL]}
    print('| camera | noisy | denoised | level, median | as sure as said | error / variance, median | in 0.5-2 |\n'
          '|---|---|---|---|---|---|---|')
    for name in [*settings, *parts]:
        generator = torch.Generator().manual_seed(0)
        cases = []
        for _ in range(COUNT):
            pair = synthetic_pair(clean, generator, **settings.get(name, {}))
            cases.append(Case(program, model, *map(parts.get(name, lambda picture: picture), pair)))
        print(f'| {name} |', summary(cases), '|', flush=True)


def with_white(x, sigma, seed):
    """x (H,W,3), white = 1, with white noise of sigma levels, not clipped."""
    return np.float32(x + sigma / 255 * np.random.default_rng(seed).standard_normal(x.shape))


def evaluate_white(program, folder):
    clean = [np.asarray(Image.open(file).convert('RGB')) / np.float32(255) for file in files([folder])]
    print('| white noise, levels | least | median | most | within 5 % | within 10 % |\n|---|---|---|---|---|---|')
    for sigma in WHITE_LEVELS:
        ratio = np.array([estimate(program, with_white(x, sigma, i))[0] for i, x in enumerate(clean)]) / sigma
        print(f'| {sigma} | {ratio.min():.3f} | {np.median(ratio):.3f} | {ratio.max():.3f} | '
              f'{(abs(ratio - 1) < 0.05).mean():.0%} | {(abs(ratio - 1) < 0.1).mean():.0%} |', flush=True)


def textured(x):
    """The crop of x (H,W,3) in which the smoothest tenth of the blocks varies most."""
    side = TEXTURED // BLOCK
    rows, columns = (n // BLOCK for n in x.shape[:2])
    blocks = x[:rows * BLOCK, :columns * BLOCK].reshape(rows, BLOCK, columns, BLOCK, 3)
    deviation = blocks.std((1, 3)).mean(2)
    smoothest = {(i, k): np.quantile(deviation[i:i + side, k:k + side], 0.1)
                 for i in range(0, rows - side + 1, 4) for k in range(0, columns - side + 1, 4)}
    top, left = (BLOCK * n for n in max(smoothest, key=smoothest.get))
    return x[top:top + TEXTURED, left:left + TEXTURED]


def evaluate_clean(program, folder):
    photos = [np.asarray(Image.open(file).convert('RGB')) / np.float32(255) for file in files([folder])]
    photos = [x for x in photos if min(x.shape[:2]) >= TEXTURED]
    print('| clean | noise added | estimated, least | median | most | most where sure |\n|---|---|---|---|---|---|')
    for name, part in ('whole photos', lambda x: x), ('textured crops', textured):
        for sigma in 0, 5:
            levels, errors = np.transpose([estimate(program, with_white(part(x), sigma, i)) for i, x in enumerate(photos)])
            sure = levels[errors < SURE]
            print(f'| {name} | {sigma} | {levels.min():.2f} | {np.median(levels):.2f} | {levels.max():.2f} | '
                  f'{f"{sure.max():.2f}" if sure.size else "none"} |', flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('program')
    parser.add_argument('--model')
    parser.add_argument('--pairs', type=Path)
    parser.add_argument('--treated', type=Path)
    parser.add_argument('--photos', type=Path)
    parser.add_argument('--white', type=Path)
    parser.add_argument('--clean', type=Path)
    parser.add_argument('--figures', type=Path)
    arguments = parser.parse_args()
    if arguments.pairs:
        evaluate_pairs(arguments.program, arguments.model, arguments.pairs, arguments.figures)
    if arguments.treated:
        evaluate_treated(arguments.program, arguments.model, arguments.treated)
    if arguments.photos:
        evaluate_synthetic(arguments.program, arguments.model, arguments.photos)
    if arguments.white:
        evaluate_white(arguments.program, arguments.white)
    if arguments.clean:
        evaluate_clean(arguments.program, arguments.clean)


if __name__ == '__main__':
    main()
