"""Draws the tables of samples.md: what the second-order score gives.

    plot_samples.py samples.md --out samples.png

SPDX-License-Identifier: GPL-3.0-or-later
"""
import argparse
import re
from pathlib import Path

import matplotlib
matplotlib.use('Agg')
import matplotlib.pyplot as plt


def rows(text, heading, columns):
    """The cells of the first table behind a heading that has these first columns."""
    text = text[text.index(heading):]
    lines = text[text.index('| ' + ' | '.join(columns)):].split('\n\n')[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip('|').split('|')] for line in lines]


def curves(axes, points, xlabel, ylabel, title):
    """points: {name: [(x, y), ...]}"""
    for name, values in points.items():
        wide = {'linewidth': 6, 'markersize': 14, 'alpha': 0.4} if name.endswith('Langevin') else {}   # Ozaki's lie on them
        axes.plot(*zip(*sorted(values)), '.-', label=name, **wide)
    axes.set(xscale='log', xlabel=xlabel, ylabel=ylabel, title=title)
    axes.grid(alpha=0.3)
    axes.legend(fontsize='small')


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('document', type=Path)
    parser.add_argument('--out', required=True)
    arguments = parser.parse_args()
    text = arguments.document.read_text()
    figure, axes = plt.subplots(1, 3, figsize=(13, 4), layout='constrained')

    points = {}
    for cells in rows(text, 'What else was tried', ['model', 'noise sd', 'sampler']):
        if match := re.fullmatch(r'(neighbours|pixels|first order) \d+', cells[2]):
            points.setdefault(match[1], []).append((int(cells[3]), float(cells[4])))
    curves(axes[0], points, 'passes of the network', 'loss of one sample, dB', 'Photos, fast, noise 25')
    axes[0].axhline(3.01, color='black', linestyle=':', linewidth=1)

    points = {}
    for density, levels, first, second in rows(text, '### Reverse diffusion', ['density', 'levels']):
        if density in ('long Gaussian', 'a cross of two long modes'):
            points.setdefault(f'{density}, first order', []).append((int(levels), float(first)))
            points.setdefault(f'{density}, second order', []).append((int(levels), float(second)))
    curves(axes[1], points, 'levels', 'distance to the posterior', 'Densities, reverse diffusion')
    axes[1].set_yscale('log')

    points = {}
    for density, sampler, step, *_, off, effective in rows(text, '### Langevin and Ozaki', ['density', 'sampler', 'step']):
        if density in ('long Gaussian', 'a cross of two long modes') and float(off.rstrip(' %')) <= 12.5:
            points.setdefault(f'{density}, {sampler}', []).append((float(step), float(effective)))
    curves(axes[2], points, 'step', 'effective samples a step', 'Densities, variance within an eighth')
    axes[2].set_yscale('log')

    figure.savefig(arguments.out, dpi=80)


if __name__ == '__main__':
    main()
