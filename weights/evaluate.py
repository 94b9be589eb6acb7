"""Measures models on clean photos with noise added: is the mean close to the truth, and is the variance true?

    evaluate.py FOLDER WEIGHTS.safetensors... [--grainwise PROGRAM] [--sigma 5 15 25 50 75] [--kind colour|grey|map]
                [--figures OUT]

Prints a markdown table with a row per noise level and model, run by PyTorch and by the C program if one is given:

* PSNR (dB) and SSIM of the mean, clipped to 0-1, averaged over photos
* ZMS: mean of squared error / predicted variance; 1 is right, above 1 too sure
* coverage of +-1.96 sd: .95 if the errors were Gaussian
* ENCE: over 20 equal-count bins of the predicted sd, the mean of |predicted - true RMS error| / predicted
* variance / MSE: mean predicted variance over mean squared error; 1 is right
* NLL: mean negative log-likelihood of a channel's error under the predicted variance, errors in levels of 255
* AUSE: how much the RMS error of the pixels left over, when the least certain are taken away first, exceeds what taking
  away the worst would leave; mean over shares, relative to the RMS error of all

The noise is white, Gaussian, not clipped, and the same for every model. --kind grey takes the photos' luma; --kind map
lets the sd grow fourfold from left to right and differ between the channels (PyTorch only). --figures writes
reliability.png (predicted against true error), sparsification.png and photos.png (noisy, mean, predicted sd, error).

SPDX-License-Identifier: GPL-3.0-or-later
"""
import argparse
import math
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


def sparsification(error, order):
    """RMS of the errors left when the first k/100 in that order are taken away, k = 0..99, relative to all."""
    sums = np.cumsum(error[order][::-1], dtype=np.float64)[::-1]
    places = [len(error) * k // 100 for k in range(100)]
    return np.sqrt([sums[place] / (len(error) - place) / (sums[0] / len(error)) for place in places])


class Calibration:
    """How far variances (N,) tell squared errors (N,); both in squared levels of 255. See the top of this file."""

    def __init__(self, error, variance):
        order = np.argsort(variance)
        self.zms = np.mean(error / variance, dtype=np.float64)
        self.coverage = np.mean(error < 1.96 ** 2 * variance)
        self.predicted, self.true = (np.sqrt([part.mean(dtype=np.float64) for part in np.array_split(a[order], BINS)])
                                     for a in (variance, error))
        self.ence = np.mean(abs(self.predicted - self.true) / self.predicted)
        self.ratio = variance.mean(dtype=np.float64) / error.mean(dtype=np.float64)
        self.nll = 0.5 * np.mean(error / variance + np.log(2 * math.pi * variance), dtype=np.float64)
        self.by_sd, self.by_error = sparsification(error, order[::-1]), sparsification(error, np.argsort(-error))
        self.ause = np.mean(self.by_sd - self.by_error)

    HEADER = '| ZMS | coverage | ENCE | variance / MSE | NLL | AUSE |'

    def __str__(self):
        return (f'| {self.zms:.2f} | {self.coverage:.3f} | {100 * self.ence:.1f} % | {self.ratio:.2f} | {self.nll:.3f} '
                f'| {self.ause:.3f} |')


def measure(files, sigma, kind, denoise):
    """-> PSNR, SSIM, Calibration"""
    psnr, similarity, errors, variances = [], [], [], []
    for file in files:
        x, y, level = noisy(file, sigma, kind)
        mean, sd = denoise(y, level)
        shown = mean.clip(0, 1)
        psnr.append(-10 * np.log10(np.mean((shown - x) ** 2, dtype=np.float64)))
        similarity.append(ssim(shown, x))
        errors.append(255 ** 2 * ((mean - x) ** 2).ravel())
        variances.append(255 ** 2 * (sd ** 2).ravel())
    return np.mean(psnr), np.mean(similarity), Calibration(*map(np.concatenate, (errors, variances)))


def draw_curves(figures, folder):
    """figures: {model: {noise sd: Calibration}}. Writes reliability.png and sparsification.png."""
    from matplotlib import pyplot, ticker

    def panels(height):
        plot, axes = pyplot.subplots(1, len(figures), figsize=(4.5 * len(figures), height), squeeze=False, sharex=True,
                                     sharey=True, layout='constrained')
        for axis, name in zip(axes[0], figures):
            axis.set_title(name)
            axis.grid(alpha=0.3)
        return plot, axes[0]

    def curves(rows):
        """The lower the noise, the darker."""
        for number, (sigma, row) in enumerate(rows.items()):
            yield row, {'color': pyplot.cm.viridis(0.85 * number / max(len(rows) - 1, 1)), 'label': f'noise {sigma:g}'}

    plot, axes = panels(4.7)
    for axis, rows in zip(axes, figures.values()):
        for row, style in curves(rows):
            axis.loglog(row.predicted, row.true, 'o-', markersize=3, **style)
        axis.axline((1, 1), (2, 2), color='k', linestyle=':', linewidth=1)
        axis.set(xlabel='predicted sd, levels', aspect='equal')
        for side in (axis.xaxis, axis.yaxis):
            side.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
            side.set_major_formatter('{x:g}')
            side.set_minor_locator(ticker.NullLocator())
    axes[0].set_ylabel('RMS error, levels')
    axes[0].legend()
    plot.savefig(folder / 'reliability.png', dpi=80, bbox_inches='tight')

    plot, axes = panels(4)
    for axis, rows in zip(axes, figures.values()):
        for row, style in curves(rows):
            axis.plot(row.by_sd, **style)
            axis.plot(row.by_error, color=style['color'], linestyle=':')
        axis.set(xlabel='% of pixels taken away, least certain first\n(dotted: worst first)')
    axes[0].set_ylabel('RMS error of the others, relative')
    axes[0].legend(loc='lower left')
    plot.savefig(folder / 'sparsification.png', dpi=80, bbox_inches='tight')


def draw_row(axes, x, y, mean, sd, title):
    """Noisy, mean, predicted sd, error averaged over 5x5 pixels; the last two on one scale. Arrays (H,W,C)."""
    square = torch.from_numpy(((mean - x) ** 2).mean(2))[None, None]
    error = functional.avg_pool2d(square, 5, 1, 2, count_include_pad=False).sqrt()[0, 0].numpy()
    sd = np.sqrt((sd ** 2).mean(2))
    white = 255 * np.quantile(sd, 0.995)
    for axis, picture, title in zip(axes, (y, mean, 255 * sd, 255 * error), (
            title, 'posterior mean', f'predicted sd, 0 to {white:.1f} levels', 'RMS error, same scale')):
        axis.imshow(picture if picture.ndim == 2 else picture.clip(0, 1).repeat(3 // picture.shape[2], 2),
                    cmap='magma', vmin=0, vmax=white)
        axis.set_title(title)
        axis.axis('off')


def sheet(rows):
    """-> plot, axes (rows,4) for draw_row"""
    from matplotlib import pyplot

    return pyplot.subplots(rows, 4, figsize=(20, 5.2 * rows), squeeze=False, layout='constrained')


def draw_photos(files, sigmas, kind, denoise, target):
    plot, axes = sheet(len(files))
    for number, (file, row) in enumerate(zip(files, axes)):
        sigma = sigmas[number % len(sigmas)]
        x, y, level = noisy(file, sigma, kind)
        draw_row(row, x, y, *denoise(y, level), f'noise {sigma:g} levels')
    plot.savefig(target, dpi=70, bbox_inches='tight')


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('folder', type=Path)
    parser.add_argument('weights', nargs='+', help='safetensors files')
    parser.add_argument('--grainwise', metavar='PROGRAM', help='the command-line program, to be measured too')
    parser.add_argument('--sigma', type=float, nargs='+', default=[5, 15, 25, 50, 75], help='noise sd in levels of 255')
    parser.add_argument('--kind', choices=('colour', 'grey', 'map'), default='colour')
    parser.add_argument('--figures', type=Path, metavar='FOLDER')
    arguments = parser.parse_args()
    if arguments.kind == 'map' and arguments.grainwise:
        parser.error('the program takes one noise level: leave --grainwise out for maps')

    files = sorted(arguments.folder.iterdir())
    print('| model | by | noise sd | PSNR | SSIM', Calibration.HEADER)
    print('|---' * 11 + '|')
    curves = {}
    for weights in arguments.weights:
        name = Path(weights).stem
        runs = {'PyTorch': lambda sigma: by_pytorch(model.load(weights))}
        if arguments.grainwise:
            runs['C'] = lambda sigma: by_program(arguments.grainwise, weights, sigma)
        for by, denoise in runs.items():
            for sigma in arguments.sigma:
                psnr, similarity, calibration = measure(files, sigma, arguments.kind, denoise(sigma))
                curves.setdefault(name, {})[sigma] = calibration      # the program's, if there is one
                print(f'| {name} | {by} | {sigma:g} | {psnr:.2f} | {similarity:.4f}', calibration, flush=True)
    if arguments.figures:
        arguments.figures.mkdir(parents=True, exist_ok=True)
        draw_curves(curves, arguments.figures)
        draw_photos(files[:6], arguments.sigma, arguments.kind, by_pytorch(model.load(arguments.weights[0])),
                    arguments.figures / 'photos.png')


if __name__ == '__main__':
    main()
