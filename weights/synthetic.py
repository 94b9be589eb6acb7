"""Directly learned second-order scores against differentiated first-order ones, on densities whose scores are known.

    synthetic.py [--minutes 1.0]

The synthetic experiments of Meng, Song, Li, Ermon (NeurIPS 2021), on 100-dimensional densities: a correlated Gaussian,
a mixture of Gaussians and a mixture of logistics, with noise of sd 0.01, 0.05 and 0.1. For each, a first-order score
is learned by denoising score matching, and a second-order score with the same time and network by
* D2SM:      s2 + s1 s1^T regressed on (z z^T - I) / sigma^2
* D2SM-VR:   the same with antithetic noise and a control variate at the clean point
* residual:  C = sigma^2 I + sigma^4 s2 regressed on r r^T, r = x - D(y)
* NLL:       C by the Gaussian likelihood of r (diagonal only)
s2 is diagonal, or diag(alpha) + beta beta^T of rank 20. Printed is the mean squared error of s2, in units of
1 / sigma^4, against the truth on 256 fresh noisy points: of the diagonal, or of the whole matrix; before that, the time
to evaluate it against that of differentiating s1. "zero" is the error of saying nothing, "Jacobian" that of s1's
derivative by automatic differentiation, "probes" the same by finite differences along 16 random directions.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import argparse
import math
import time

import numpy as np
import torch
from torch import nn

DIMENSIONS, RANK, BATCH, WIDTH = 100, 20, 256, 256
PROBES, STEP = 16, 0.1              # finite differences; their step relative to the noise


class Gaussians:
    """A mixture of Gaussians. weights (K), means (K,N), covariances (K,N,N)."""

    def __init__(self, weights, means, covariances):
        self.weights, self.means, self.covariances = weights, means, covariances
        self.roots = torch.linalg.cholesky(covariances)

    def sample(self, count):
        k = torch.multinomial(self.weights, count, True)
        x = torch.einsum('kij,bj->kbi', self.roots, torch.randn(count, DIMENSIONS))
        return self.means[k] + x[k, torch.arange(count)]

    def second(self, y, sigma):
        """Hessian of the log density at y (B,N) with noise: (B,N,N)."""
        covariances = self.covariances + sigma ** 2 * torch.eye(DIMENSIONS)
        inverse = torch.linalg.inv(covariances)
        d = y[:, None] - self.means
        gradient = -torch.einsum('kij,bkj->bki', inverse, d)
        logits = self.weights.log() - 0.5 * torch.logdet(covariances) + 0.5 * (gradient * d).sum(2)
        return of_mixture(logits, gradient, lambda w: -torch.einsum('bk,kij->bij', w, inverse))


class Logistics:
    """A mixture whose components are products of logistic densities. means, scales (K,N)."""

    def __init__(self, weights, means, scales):
        self.weights, self.means, self.scales = weights, means, scales
        nodes, quadrature = np.polynomial.hermite_e.hermegauss(64)
        self.nodes, self.quadrature = torch.tensor(nodes, dtype=torch.get_default_dtype()), \
            torch.tensor(quadrature / quadrature.sum(), dtype=torch.get_default_dtype())

    def sample(self, count):
        k = torch.multinomial(self.weights, count, True)
        u = torch.rand(count, DIMENSIONS).clamp(1e-6, 1 - 1e-6)
        return self.means[k] + self.scales[k] * (u.log() - (1 - u).log())

    def second(self, y, sigma):
        """As above; the convolution with the noise is a Gauss-Hermite sum in every dimension."""
        u = (y[:, None, :, None] - self.means[..., None] - sigma * self.nodes) / self.scales[..., None]
        s = torch.sigmoid(u)
        log_density = self.quadrature.log() - u.abs() - 2 * torch.log1p((-u.abs()).exp())
        share = log_density.softmax(3)
        first, second = (1 - 2 * s), (1 - 6 * s + 6 * s * s)      # p'/p and p''/p of a unit logistic
        gradient = (share * first).sum(3) / self.scales
        curvature = (share * second).sum(3) / self.scales ** 2 - gradient ** 2
        logits = self.weights.log() + (log_density.logsumexp(3) - self.scales.log()).sum(2)
        return of_mixture(logits, gradient, lambda w: torch.diag_embed(torch.einsum('bk,bki->bi', w, curvature)))


def of_mixture(logits, gradient, hessian):
    """Hessian of log sum_k exp(logits_k), (B,N,N), given the components' gradients (B,K,N) and a function that averages
    their Hessians with weights (B,K)."""
    w = logits.softmax(1)
    d = gradient - torch.einsum('bk,bki->bi', w, gradient)[:, None]
    return hessian(w) + (w[..., None] * d).mT @ d


def densities():
    torch.manual_seed(0)
    place = torch.arange(DIMENSIONS)
    decaying = lambda rho: 0.1 ** 2 * torch.tensor(rho) ** (place[:, None] - place).abs()
    yield 'correlated Gaussian', Gaussians(torch.ones(1), torch.zeros(1, DIMENSIONS), decaying(0.8)[None])
    yield 'mixture of 2 Gaussians', Gaussians(
        torch.tensor([0.4, 0.6]), 0.05 * torch.randn(2, DIMENSIONS), torch.stack([decaying(0.8), decaying(-0.6)]))
    yield 'mixture of 20 logistics', Logistics(
        torch.full((20,), 0.05), 0.3 * torch.randn(20, DIMENSIONS), 0.02 + 0.06 * torch.rand(20, DIMENSIONS))


class Network(nn.Module):
    """y / scale -> outputs, all of order one."""

    def __init__(self, outputs, scale):
        super().__init__()
        self.scale = scale
        self.straight = nn.Linear(DIMENSIONS, outputs)
        self.layers = nn.Sequential(nn.Linear(DIMENSIONS, WIDTH), nn.Softplus(), nn.Linear(WIDTH, WIDTH), nn.Softplus(),
                                    nn.Linear(WIDTH, outputs))

    def forward(self, y):
        return self.straight(y / self.scale) + self.layers(y / self.scale)


def matrix(output, low_rank):
    """Network output -> sigma^2 s2: (B,N) the diagonal, or (B,N,N)."""
    if not low_rank:
        return output
    beta = output[:, DIMENSIONS:].view(-1, DIMENSIONS, RANK)
    return torch.diag_embed(output[:, :DIMENSIONS]) + beta @ beta.mT / RANK


def square(v, low_rank):
    """v v^T, or its diagonal."""
    return v[:, :, None] * v[:, None] if low_rank else v * v


def dsm(first, x, sigma):
    """Denoising score matching (Vincent 2011); the network gives sigma s1."""
    z = torch.randn_like(x)
    return (first(x + sigma * z) + z).square().mean()


def estimate(kind, second, y, low_rank):
    """sigma^2 s2 from a network trained by that loss."""
    h = matrix(second(y), low_rank)
    return nn.functional.softplus(1 + h) - 1 if kind == 'NLL' else h


def loss(kind, first, second, x, sigma, low_rank):
    """Of one batch of clean points. All in units of sigma: s = sigma s1, h = sigma^2 s2."""
    z = torch.randn_like(x)
    one = torch.eye(DIMENSIONS) if low_rank else torch.ones(DIMENSIONS)
    with torch.no_grad():
        s = first(x + sigma * z)
    h = matrix(second(x + sigma * z), low_rank)
    if kind == 'D2SM':
        return (h + square(s, low_rank) + one - square(z, low_rank)).square().mean()
    if kind == 'D2SM-VR':
        with torch.no_grad():
            mirrored, centre = first(x - sigma * z), first(x)
        plus = h + square(s, low_rank)
        minus = matrix(second(x - sigma * z), low_rank) + square(mirrored, low_rank)
        middle = matrix(second(x), low_rank) + square(centre, low_rank)
        return (plus.square() + minus.square()
                + 2 * (one - square(z, low_rank)) * (plus + minus - 2 * middle)).mean() / 2
    r = -z - s                                      # (x - D) / sigma, D = y + sigma s
    if kind == 'residual':
        return (one + h - square(r, low_rank)).square().mean()
    variance = nn.functional.softplus(1 + h) + 1e-4
    return (r.square() / variance + variance.log()).mean()


def train(network, objective, seconds):
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
    end = time.process_time() + seconds
    start = time.process_time()
    while (now := time.process_time()) < end:
        optimiser.param_groups[0]['lr'] = 1e-3 * 0.5 * (1 + math.cos(math.pi * (now - start) / seconds))
        optimiser.zero_grad()
        objective().backward()
        optimiser.step()
    return network


def milliseconds(function):
    """Processor time of a call, the least of ten."""
    times = []
    for _ in range(10):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return 1000 * min(times)


def speed():
    """Prints what it takes to evaluate s2 at 256 points, which depends on the networks' shape alone."""
    print('| s2 | learned, ms | Jacobian, ms | times as long | probes, ms |\n|---|---|---|---|---|')
    first, y = Network(DIMENSIONS, 1), torch.randn(BATCH, DIMENSIONS)
    for low_rank in (False, True):
        second = Network(DIMENSIONS * (1 + RANK * low_rank), 1)
        with torch.no_grad():
            own = milliseconds(lambda: matrix(second(y), low_rank))
        other = milliseconds(lambda: jacobian(first, y, 1, low_rank))
        probes = '' if low_rank else f'{milliseconds(lambda: hutchinson(first, y, 1)):.1f}'
        print(f'| {"low rank" if low_rank else "diagonal"} | {own:.1f} | {other:.1f} | {other / own:.0f} | {probes} |')


def jacobian(first, y, sigma, low_rank):
    """sigma^2 s2 by differentiating s1, (B,N,N) or its diagonal (B,N): a backward pass a dimension, all in one
    batch."""
    y = y.detach().requires_grad_()
    s = sigma * first(y)                            # sigma^2 s1
    one = torch.eye(DIMENSIONS)[:, None].expand(-1, *s.shape)
    rows, = torch.autograd.grad(s, y, one, is_grads_batched=True)       # (N,B,N)
    return rows.transpose(0, 1) if low_rank else torch.diagonal(rows, dim1=0, dim2=2)


@torch.no_grad()
def hutchinson(first, y, sigma):
    """The diagonal of sigma^2 s2 by central differences of s1 along random signs (Bekas, Kokiopoulou, Saad 2007)."""
    total, step = torch.zeros_like(y), STEP * sigma
    for _ in range(PROBES):
        v = torch.randint_like(y, 2) * 2 - 1
        total += v * (first(y + step * v) - first(y - step * v)) * sigma / (2 * step)
    return total / PROBES


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--minutes', type=float, default=1.0, help='processor time to train each network')
    seconds = 60 * parser.parse_args().minutes
    torch.set_num_threads(1)
    speed()
    print('\n| density | sigma | s2 | zero | Jacobian | probes | D2SM | D2SM-VR | residual | NLL |')
    print('|---' * 10 + '|')
    for name, density in densities():
        scale = density.sample(10000).std().item()
        for sigma in (0.01, 0.05, 0.1):
            first = Network(DIMENSIONS, scale)
            train(first, lambda: dsm(first, density.sample(BATCH), sigma), seconds)
            y = density.sample(BATCH)
            y = y + sigma * torch.randn_like(y)
            true = sigma ** 2 * density.second(y, sigma)
            for low_rank in (False, True):
                truth = true if low_rank else torch.diagonal(true, dim1=1, dim2=2)
                error = lambda h: f'{(h - truth).square().mean().item():.2e}'
                cells = [error(torch.zeros_like(truth)), error(jacobian(first, y, sigma, low_rank)),
                         '' if low_rank else error(hutchinson(first, y, sigma))]
                for kind in ('D2SM', 'D2SM-VR', 'residual', 'NLL'):
                    if kind == 'NLL' and low_rank:
                        cells.append('')
                        continue
                    second = Network(DIMENSIONS * (1 + RANK * low_rank), scale)
                    train(second, lambda: loss(kind, first, second, density.sample(BATCH), sigma, low_rank), seconds)
                    with torch.no_grad():
                        cells.append(error(estimate(kind, second, y, low_rank)))
                print('|', name, '|', sigma, '|', 'low rank' if low_rank else 'diagonal', '|', ' | '.join(cells), '|', flush=True)


if __name__ == '__main__':
    main()
