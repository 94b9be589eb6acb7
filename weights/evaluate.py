"""Measures a model on clean photos with noise added: is the mean close to the truth, and is the variance true?

    evaluate.py FOLDER --grainwise PROGRAM [--model NAME_OR_FILE] [--sigma 5 15 25 50 75] [--kind colour|grey|map]
    evaluate.py FOLDER --pytorch WEIGHTS.safetensors ...

Prints a markdown table with a row per noise level:

* PSNR (dB) and SSIM of the mean, clipped to 0-1, averaged over photos
* ZMS: mean of squared error / predicted variance; 1 is right, above 1 too sure
* coverage of +-1.96 sd: .95 if the errors were Gaussian
* ENCE: over 20 equal-count bins of the predicted sd, the mean of |predicted - true RMS error| / predicted
* variance / MSE: mean predicted variance over mean squared error; 1 is right

The noise is white, Gaussian, not clipped, and the same for every model. --kind grey takes the photos' luma; --kind map
lets the sd grow fourfold from left to right and differ between the channels (PyTorch only).

SPDX-License-Identifier: GPL-3.0-or-later
"""
import argparse
import subprocess
import tempfile
import zlib
from pathlib import Path

import numpy as np
import tifffile
import torch
from PIL import Image
from torch.nn import functional

import model
import reference

BINS = 20


def noisy(file, sigma, kind):
    """-> clean x, noisy y, noise level: (H,W,C) float32, white = 1. sigma in levels of 255."""
    image = Image.open(file).convert('RGB')
    x = np.asarray(image.convert('L') if kind == 'grey' else image, dtype=np.float32) / 255
    x = x.reshape(*x.shape[:2], -1)
    level = np.full_like(x, sigma / 255)
    if kind == 'map':
        level *= 2 ** np.linspace(-1, 1, x.shape[1])[:, None] * np.array([1.25, 0.8, 1])
    rng = np.random.default_rng([zlib.crc32(file.stem.encode()), round(10 * sigma)])
    return x, x + level * rng.standard_normal(x.shape, dtype=np.float32), level


def by_program(program, network, sigma):
    """A function (y, level) -> mean, sd that runs the C program on a float TIFF; it is told sigma, one number."""
    def denoise(y, level):
        with tempfile.TemporaryDirectory() as folder:
            source, mean, sd = (Path(folder) / name for name in ('in.tif', 'mean.tif', 'sd.tif'))
            tifffile.imwrite(source, y.squeeze(), photometric='rgb' if y.shape[2] == 3 else 'minisblack')
            subprocess.run([program, 'denoise', source, mean, '--noise', f'{sigma:g}', '--uncertainty', sd]
                           + (['--model', network] if network else []), check=True, stdout=subprocess.DEVNULL)
            return [tifffile.imread(file).reshape(y.shape) for file in (mean, sd)]
    return denoise


def by_pytorch(net):
    """A function (y, level) -> mean, sd."""
    def denoise(y, level):
        mean, covariance = reference.denoise(net, y, level)
        return mean, np.sqrt(covariance[..., [0, 3, 5]] if y.shape[2] == 3 else covariance)
    return denoise


def ssim(a, b):
    """Structural similarity (Wang et al. 2004: Gaussian window of sd 1.5, 11x11), mean over channels of (H,W,C)."""
    line = torch.exp(-torch.arange(-5., 6) ** 2 / 4.5)
    window = torch.outer(line, line)[None, None] / line.sum() ** 2
    a, b = (torch.from_numpy(i).permute(2, 0, 1)[:, None].float() for i in (a, b))
    blur = lambda t: functional.conv2d(t, window)
    ma, mb = blur(a), blur(b)
    va, vb, ab = blur(a * a) - ma ** 2, blur(b * b) - mb ** 2, blur(a * b) - ma * mb
    c1, c2 = 0.01 ** 2, 0.03 ** 2
    return ((2 * ma * mb + c1) * (2 * ab + c2) / ((ma ** 2 + mb ** 2 + c1) * (va + vb + c2))).mean().item()


def row(files, sigma, kind, denoise):
    """One line of the table."""
    psnr, similarity, errors, variances = [], [], [], []
    for file in files:
        x, y, level = noisy(file, sigma, kind)
        mean, sd = denoise(y, level)
        shown = mean.clip(0, 1)
        psnr.append(-10 * np.log10(np.mean((shown - x) ** 2, dtype=np.float64)))
        similarity.append(ssim(shown, x))
        errors.append(((mean - x) ** 2).ravel())
        variances.append((sd ** 2).ravel())
    error, variance = np.concatenate(errors), np.concatenate(variances)
    order = np.argsort(variance)
    predicted, true = (np.sqrt([part.mean(dtype=np.float64) for part in np.array_split(a[order], BINS)])
                       for a in (variance, error))
    return (f'| {sigma:g} | {np.mean(psnr):.2f} | {np.mean(similarity):.4f} '
            f'| {np.mean(error / variance, dtype=np.float64):.2f} | {np.mean(error < 1.96 ** 2 * variance):.3f} '
            f'| {100 * np.mean(abs(predicted - true) / predicted):.1f} % '
            f'| {variance.mean(dtype=np.float64) / error.mean(dtype=np.float64):.2f} |')


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('folder', type=Path)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument('--grainwise', metavar='PROGRAM', help='the command-line program')
    what.add_argument('--pytorch', metavar='WEIGHTS', help='the PyTorch model with these weights (safetensors)')
    parser.add_argument('--model', help="for PROGRAM's option of that name")
    parser.add_argument('--sigma', type=float, nargs='+', default=[5, 15, 25, 50, 75], help='noise sd in levels of 255')
    parser.add_argument('--kind', choices=('colour', 'grey', 'map'), default='colour')
    arguments = parser.parse_args()
    if arguments.kind == 'map' and arguments.grainwise:
        parser.error('the program takes one noise level: use --pytorch for maps')

    net = arguments.pytorch and model.load(arguments.pytorch)
    files = sorted(arguments.folder.iterdir())
    print('| noise sd | PSNR | SSIM | ZMS | coverage | ENCE | variance / MSE |')
    print('|---|---|---|---|---|---|---|')
    for sigma in arguments.sigma:
        denoise = by_pytorch(net) if net else by_program(arguments.grainwise, arguments.model, sigma)
        print(row(files, sigma, arguments.kind, denoise), flush=True)


if __name__ == '__main__':
    main()
