"""Draws the logs of training runs: figures on the validation photos over the minutes.

    curves.py RUN... --out curves.png

SPDX-License-Identifier: GPL-3.0-or-later
"""
import argparse
import csv
from pathlib import Path

from matplotlib import pyplot


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('runs', nargs='+', type=Path)
    parser.add_argument('--out', required=True)
    arguments = parser.parse_args()

    logs = {}
    for run in arguments.runs:
        with open(run / 'log.tsv', newline='') as file:
            logs[run.name] = list(csv.DictReader(file, delimiter='\t'))
    first, *_ = logs.values()
    columns = [name for name in first[0] if name.startswith(('psnr', 'validation', 'first', 'second'))]
    plot, axes = pyplot.subplots(1, len(columns), figsize=(5 * len(columns), 4))
    for axis, column in zip(axes, columns):
        for name, log in logs.items():
            axis.plot([float(row['minutes']) for row in log], [float(row[column]) for row in log], label=name)
        axis.set(title=column, xlabel='minutes of training')
        axis.legend()
    plot.savefig(arguments.out, dpi=70, bbox_inches='tight')


if __name__ == '__main__':
    main()
