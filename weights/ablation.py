"""Ways to the posterior variance, compared on one denoiser: which loss trains it best, and is it worth training at all?

    ablation.py WEIGHTS.safetensors --train PHOTOS... --test PHOTOS... [--minutes 2]

The network in WEIGHTS keeps its mean; its covariance head is thrown away and trained anew on one core, the same time
each, with

* D2SM (Meng et al. 2021): s2 + s1 s1^T regressed on (z z^T - I) / sigma^2, here in units of 1 / sigma^2
* D2SM-VR: the same with antithetic noise and a control variate at the clean photo
* residual: the covariance C regressed on r r^T, r the residual of the mean: the same minimiser
* NLL: Gaussian likelihood of r, which has that minimiser too and no scale
* beta-NLL (Seitzer et al. 2022): the same weighted by the predicted sd, as train.py does

and against these stands what needs no training: sigma^2 dD/dy, the mean's Jacobian (Manor and Michaeli 2024), by finite
differences with K Hutchinson probes, or exactly at some pixels. Printed are the figures of evaluate.py on crops of the
test photos, and time and memory for a megapixel.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import argparse
import math
import resource
import subprocess
import sys
import time

import numpy as np
import torch

import model
import noise
from evaluate import Calibration
from photos import Photos, with_grain
from train import weighted

BATCH, CROP, RATE = 8, 64, 2e-3
TEST_CROPS, TEST_SIDE, SIGMAS = 24, 128, (5, 25, 75)
STEP = 0.1                      # of finite differences, relative to the noise level
FLOOR = 1e-3                    # variance ratio that estimates below it, zero or negative, are raised to
PIXELS = 8                      # of every crop, for the exact Jacobian
LOSSES = 'D2SM', 'D2SM-VR', 'residual', 'NLL', 'beta-NLL'


def outer(v):
    """v v^T of every pixel (B,3,H,W), as the six numbers of model.covariance."""
    return v[:, [0, 0, 0, 1, 1, 2]] * v[:, [0, 1, 2, 1, 2, 2]]


ONE = torch.tensor([1., 0, 0, 1, 0, 1])[:, None, None]             # the identity matrix
TWICE = torch.tensor([1., 2, 2, 1, 2, 1])[:, None, None]           # how often each number stands in the matrix


def loss(kind, net, x, level):
    """Of clean crops x (B,3,H,W), each with white noise of one level (B,1,1,1); only the covariance head learns."""
    z = torch.randn_like(x)
    whole = level.expand_as(x)

    def scores(y):
        """-> s = level s1, C / level^2 as six numbers, the head's output"""
        mean, g = net(y, whole)
        return (mean - y).detach() / level, model.covariance(g, whole) / level ** 2, g

    s, ratio, g = scores(x + level * z)
    r = -z - s                                          # (x - D) / level
    if kind == 'D2SM':
        return (TWICE * (ratio + outer(s) - outer(z)).square()).mean()
    if kind == 'residual':
        return (TWICE * (ratio - outer(r)).square()).mean()
    if kind == 'D2SM-VR':
        psi = lambda s, ratio, g: ratio - ONE + outer(s)
        plus, minus, middle = psi(s, ratio, g), psi(*scores(x - level * z)), psi(*scores(x))
        return (TWICE * (plus.square() + minus.square()
                         + 2 * (ONE - outer(z)) * (plus + minus - 2 * middle))).mean() / 2
    nll = model.gaussian_nll(level * r, g, whole)
    return nll.clamp(max=50).mean() if kind == 'NLL' else weighted(nll, model.variance(g, whole) / level ** 2).mean()


def train_head(kind, net, photos, minutes):
    """Trains net's covariance head from scratch. The same crops and noise for every kind, as far as time reaches."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    fresh = model.ScoreNet(net.widths, net.blocks, net.shuffle)
    parameters = []
    for layer in ('h1', 'h2'):
        getattr(net, layer).load_state_dict(getattr(fresh, layer).state_dict())
        parameters += getattr(net, layer).parameters()
    optimiser = torch.optim.Adam(parameters, lr=0, betas=(0.9, 0.99))
    start, steps = time.process_time(), 0               # whatever else the machine does
    while (spent := (time.process_time() - start) / 60 / minutes) < 1:
        optimiser.param_groups[0]['lr'] = RATE * 0.5 * (1 + math.cos(math.pi * spent))
        x = with_grain(photos.crops(BATCH, CROP, generator), generator)
        level = noise.LOWEST + (75 / 255 - noise.LOWEST) * torch.rand((BATCH, 1, 1, 1), generator=generator)
        optimiser.zero_grad()
        loss(kind, net, x, level).backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        steps += 1
    return steps


def differences(net, y, level, v):
    """D's derivative along v, by central differences; v has entries of order one."""
    step = STEP * level
    return (net(y + step * v, level)[0] - net(y - step * v, level)[0]) / (2 * step)


def hutchinson(net, y, level, probes):
    """Diagonal of level^2 dD/dy (Bekas, Kokiopoulou, Saad 2007)."""
    total = torch.zeros_like(y)
    for _ in range(probes):
        v = torch.randint_like(y, 2) * 2 - 1
        total += v * differences(net, y, level, v)
    return level ** 2 * (total / probes).clamp(min=FLOOR)


def exact(net, y, level, pixels):
    """The same, exact but for the differences, at some pixels [(i, j)] of one crop: (3, len(pixels))."""
    columns = []
    for i, j in pixels:
        v = torch.zeros(3, *y.shape[1:])
        v[[0, 1, 2], [0, 1, 2], i, j] = 1
        columns.append(differences(net, y.expand_as(v), level.expand_as(v), v)[[0, 1, 2], [0, 1, 2], i, j])
    return level[0, 0, 0, 0] ** 2 * torch.stack(columns, 1).clamp(min=FLOOR)


def automatic(net, y, level, probes):
    """As `hutchinson`, but differentiated automatically: a backward pass a probe."""
    total = torch.zeros_like(y)
    with torch.enable_grad():
        y = y.detach().requires_grad_()
        mean, _ = net(y, level)
        for _ in range(probes):
            v = torch.randint_like(y, 2) * 2 - 1
            total += v * torch.autograd.grad(mean, y, v, retain_graph=True)[0]
    return level ** 2 * (total / probes).clamp(min=FLOOR)


def head(net, y, level):
    return model.variance(net(y, level)[1], level)


WAYS = {'head': head} \
    | {f'Jacobian, {k} differences': lambda net, y, level, k=k: hutchinson(net, y, level, k) for k in (1, 4, 16)} \
    | {f'Jacobian, {k} backward': lambda net, y, level, k=k: automatic(net, y, level, k) for k in (1, 16)}


@torch.no_grad()
def cost(net, way):
    """Prints the processor seconds for a megapixel and the process's peak memory in MB."""
    y, level = torch.rand(1, 3, 1024, 1024), torch.full((1, 3, 1024, 1024), 0.1)
    start = time.process_time()
    WAYS[way](net, y, level)
    print(f'{time.process_time() - start:.1f} | {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f}')


@torch.no_grad()
def calibrations(net, x, way):
    """-> {noise sd: Calibration} of one way on clean crops x."""
    found = {}
    for sigma in SIGMAS:
        level = torch.full_like(x, sigma / 255)
        y = x + level * torch.randn(x.shape, generator=torch.Generator().manual_seed(sigma))
        errors, variances = [], []
        for clean, noisy, known in zip(x.split(1), y.split(1), level.split(1)):
            error = (net(noisy, known)[0] - clean).square()
            if way == 'exact':
                places = [divmod(int(n), TEST_SIDE) for n in np.random.default_rng(0).choice(TEST_SIDE ** 2, PIXELS)]
                variances.append(exact(net, noisy, known, places).flatten())
                errors.append(torch.stack([error[0, :, i, j] for i, j in places], 1).flatten())
            else:
                variances.append(WAYS[way](net, noisy, known).flatten())
                errors.append(error.flatten())
        found[sigma] = Calibration(*(255 ** 2 * torch.cat(parts).numpy() for parts in (errors, variances)))
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('weights')
    parser.add_argument('--train', nargs='+')
    parser.add_argument('--test', nargs='+')
    parser.add_argument('--minutes', type=float, default=2, help='processor time to train each head')
    parser.add_argument('--cost', choices=WAYS, help='only print what this way costs: seconds | MB')
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    net = model.load(arguments.weights).to(memory_format=torch.channels_last).requires_grad_(False)
    net.white_head = False                              # the head that was trained with the mean
    if arguments.cost:
        return cost(net, arguments.cost)

    print('| way | processor seconds for 1 MP | peak memory, MB |\n|---|---|---|')
    for way in WAYS:
        line = subprocess.run([sys.executable, __file__, arguments.weights, '--cost', way], check=True,
                              capture_output=True, text=True).stdout.strip()
        print('|', way, '|', line, '|', flush=True)

    train, test = Photos(arguments.train, CROP), Photos(arguments.test, TEST_SIDE)
    x = test.crops(TEST_CROPS, TEST_SIDE, torch.Generator().manual_seed(0))
    print('\n| way | steps | noise sd', Calibration.HEADER)
    print('|---' * 9 + '|')

    def show(name, steps, way):
        for sigma, calibration in calibrations(net, x, way).items():
            print('|', name, '|', steps, '|', sigma, calibration, flush=True)

    for way in WAYS:
        if 'backward' not in way:                       # the same numbers as by differences
            show('as delivered' if way == 'head' else way, '', way)
    show(f'Jacobian, exact ({TEST_CROPS * PIXELS} pixels)', '', 'exact')
    net.h1.requires_grad_(True)
    net.h2.requires_grad_(True)
    for kind in LOSSES:
        show(kind, train_head(kind, net, train, arguments.minutes), 'head')


if __name__ == '__main__':
    main()
