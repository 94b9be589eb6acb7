"""Measures samples on photos: are they what the posterior says?

    evaluate_samples.py FOLDER PROGRAM WEIGHTS.safetensors... [--settings NAME ...] [--sigma 15 25 50] [--side 160]
                        [--samples 2] [--photos 24] [--coarse]

PROGRAM is tests/draw-samples from the build folder. On the middle of every photo, with white noise added, samples are
drawn by each of SETTINGS below. Printed is a markdown table:

--coarse: the noise is no white one, but half of its variance is that of means over 3x3 pixels.

* passes: of the network, for a sample
* loss: how far the MSE of one sample lies above that of the mean D(y), dB; 3.01 if samples are exact
* of 2: the same of the mean of two; 1.76
* 1x1 to 8x8: variance of the samples over the squared error of D(y), both after averaging over so many pixels; 1
* / C: variance of the samples over the predicted one; 1
* in bins: the least and largest variance of the samples over the predicted one, and over the squared error of D(y), in
  ten equal-count bins of predicted variance

SPDX-License-Identifier: GPL-3.0-or-later
"""
import argparse
import subprocess
from pathlib import Path

import numpy as np

from evaluate import noisy

NONE, PIXELS, NEIGHBOURS = range(3)


def reverse(levels, second_order, lowest=0):
    return levels, lowest, second_order, 0, 0, 0


def corrected(levels, corrections, ozaki, size, lowest=0):
    return levels, lowest, PIXELS, corrections, int(ozaki), size


SETTINGS = {                    # levels, lowest, second_order, corrections, ozaki, step_size: see GwSampling
    'one step': reverse(1, PIXELS),
    'neighbours 2': reverse(2, NEIGHBOURS), 'neighbours 4': reverse(4, NEIGHBOURS),
    'neighbours 6': reverse(6, NEIGHBOURS), 'neighbours 8': reverse(8, NEIGHBOURS),
    'neighbours 16': reverse(16, NEIGHBOURS),
    **{f'neighbours {levels}, to 1/{part}': reverse(levels, NEIGHBOURS, 1 / part)
       for levels, part in ((3, 4), (3, 5), (3, 8), (4, 5), (4, 8), (5, 8), (8, 4), (16, 8))},
    'pixels 4': reverse(4, PIXELS), 'pixels 8': reverse(8, PIXELS), 'pixels 16': reverse(16, PIXELS),
    'pixels 32': reverse(32, PIXELS), 'pixels 64': reverse(64, PIXELS),
    'first order 4': reverse(4, NONE), 'first order 8': reverse(8, NONE), 'first order 16': reverse(16, NONE),
    'first order 32': reverse(32, NONE), 'first order 64': reverse(64, NONE), 'first order 128': reverse(128, NONE),
    'neighbours 8, to 0.05': reverse(8, NEIGHBOURS, 0.05), 'neighbours 8, to 0.2': reverse(8, NEIGHBOURS, 0.2),
    'pixels 16, to 0.02': reverse(16, PIXELS, 0.02), 'pixels 16, to 0.15': reverse(16, PIXELS, 0.15),
    **{f'{name} {levels} x {corrections}, step {size}': corrected(levels, corrections, name == 'Ozaki', size)
       for name in ('Langevin', 'Ozaki') for levels, corrections in ((6, 2),) for size in (0.1, 0.25, 0.5, 1)},
    **{f'{name} at 0.25, 14, step {size}': corrected(2, 14, name == 'Ozaki', size, 0.25)
       for name in ('Langevin', 'Ozaki') for size in (0.1, 0.25, 0.5, 1)},
}


def passes(levels, lowest, second_order, corrections, ozaki, size):
    return (levels - 1) * ((2 if second_order == NEIGHBOURS else 1) + corrections) + 1


def coarse_noise(shape, seed):
    """Of level 1, (H,W,3), and its grain."""
    height, width, _ = shape
    white = np.random.default_rng(seed).standard_normal((2, height + 2, width + 2, 3))
    means = sum(white[1, y:y + height, x:x + width] for y in range(3) for x in range(3)) / 3
    octaves = [np.sqrt(0.5 + 0.5 * square) - 1 for square in (1, 1 + 16 / 9, 1 + 40 / 9)]    # of 2x2 and 4x4 pixels
    return np.sqrt(0.5) * (white[0, 1:-1, 1:-1] + means), 2 * octaves


def draw(program, weights, photo, sigma, settings, samples, seed, grain=()):
    """-> mean (H,W,3), covariance (H,W,6), samples (K,H,W,3)"""
    height, width = photo.shape[:2]
    arguments = [program, weights, sigma, width, height, samples, *settings, seed, *grain]
    run = subprocess.run(list(map(str, arguments)), input=photo.tobytes(), stdout=subprocess.PIPE, check=True)
    mean, covariance, drawn = np.split(np.frombuffer(run.stdout, 'f4'), [3 * width * height, 9 * width * height])
    return mean.reshape(photo.shape), covariance.reshape(height, width, 6), drawn.reshape(samples, *photo.shape)


def averaged(photos, side):
    """Means over side x side pixels of (...,H,W,3)."""
    *before, height, width, _ = photos.shape
    height, width = height // side, width // side
    return photos[..., :height * side, :width * side, :].reshape(*before, height, side, width, side, 3).mean((-4, -2))


def measure(program, weights, photos, sigma, settings, samples, grain):
    """-> [loss, loss of the mean of two, variance / error by side, variance / C], [variance / C, variance / error by
    bin]"""
    error, own, two, ratios, predicted, found, square = [], [], [], [], [], [], []
    for seed, (clean, photo) in enumerate(photos):
        mean, covariance, drawn = draw(program, weights, photo, sigma, settings, samples, seed, grain)
        error.append(((mean - clean) ** 2).mean())
        own.append(((drawn - clean) ** 2).mean())
        two.append(((drawn[:2].mean(0) - clean) ** 2).mean())
        ratios.append([(averaged(drawn, side).var(0, ddof=1).mean(), (averaged(mean - clean, side) ** 2).mean())
                       for side in (1, 2, 4, 8)])
        predicted.append(covariance[..., [0, 3, 5]].ravel())
        found.append(drawn.var(0, ddof=1).ravel())
        square.append(((mean - clean) ** 2).ravel())
    variances, squares = np.mean(ratios, 0).T
    predicted, found, square = map(np.concatenate, (predicted, found, square))
    bins = np.array_split(np.argsort(predicted), 10)
    predicted, found, square = (np.array([part[b].mean() for b in bins]) for part in (predicted, found, square))
    decibels = lambda mse: 10 * np.log10(np.mean(mse) / np.mean(error))
    return [decibels(own), decibels(two), *variances / squares, found.mean() / predicted.mean()], [
        found / predicted, found / square]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('folder', type=Path)
    parser.add_argument('program')
    parser.add_argument('weights', nargs='+', help='safetensors files')
    parser.add_argument('--settings', nargs='+', choices=SETTINGS, default=list(SETTINGS), metavar='NAME')
    parser.add_argument('--sigma', type=float, nargs='+', default=[15, 25, 50])
    parser.add_argument('--side', type=int, default=160)
    parser.add_argument('--samples', type=int, default=2)
    parser.add_argument('--photos', type=int, default=24)
    parser.add_argument('--coarse', action='store_true')
    arguments = parser.parse_args()

    files = sorted(arguments.folder.iterdir())
    files = [files[i * len(files) // arguments.photos] for i in range(arguments.photos)]
    print('| model | noise sd | sampler | passes | loss | of 2 | 1x1 | 2x2 | 4x4 | 8x8 | / C | / C in bins | / error in bins |')
    print('|---' * 13 + '|')
    for weights in arguments.weights:
        for sigma in arguments.sigma:
            photos, grain = [], ()
            for number, file in enumerate(files):
                clean, photo, _ = noisy(file, sigma, 'colour')
                if arguments.coarse:
                    noise, grain = coarse_noise(clean.shape, number)
                    photo = (clean + sigma / 255 * noise).astype('f4')
                top, left = ((length - arguments.side) // 2 for length in clean.shape[:2])
                crop = np.s_[top:top + arguments.side, left:left + arguments.side]
                photos.append((clean[crop], np.ascontiguousarray(photo[crop])))
            for name in arguments.settings:
                figures, bins = measure(arguments.program, weights, photos, sigma, SETTINGS[name], arguments.samples,
                                        grain)
                print(f'| {Path(weights).stem} | {sigma:g} | {name} | {passes(*SETTINGS[name])} |',
                      ' | '.join([*(f'{figure:.2f}' for figure in figures), *(f'{b.min():.2f}-{b.max():.2f}' for b in bins)]),
                      '|', flush=True)


if __name__ == '__main__':
    main()
