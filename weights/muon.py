"""Muon (Jordan et al. 2024): momentum whose matrices are made orthogonal before the step, so that a layer learns in all
its directions at once. Scaled to the size of an Adam step (Liu et al. 2025).

SPDX-License-Identifier: GPL-3.0-or-later
"""
from concurrent.futures import ThreadPoolExecutor

import torch


def orthogonal(matrices, dtype):
    """Nearest semi-orthogonal matrix, roughly (singular values 0.7-1.2), by five Newton-Schulz steps. (N,R,C)
    bfloat16 is enough."""
    x = matrices.to(dtype)
    tall = x.shape[1] > x.shape[2]
    if tall:
        x = x.mT
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-12)
    for _ in range(5):
        square = x @ x.mT
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    return (x.mT if tall else x).float()


class Muon(torch.optim.Optimizer):
    """For convolution kernels, taken as matrices of outputs by inputs times places. `dtype` is the precision to make
    them orthogonal in, the fastest that the device has."""

    def __init__(self, parameters, lr, dtype, momentum=0.95, weight_decay=0.0):
        self.dtype = dtype
        self.threads = ThreadPoolExecutor(torch.get_num_threads())     # a CPU's batched product uses one thread only
        super().__init__(parameters, dict(lr=lr, momentum=momentum, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            shapes = {}
            for p in group['params']:
                if p.grad is not None:
                    shapes.setdefault(p.shape, []).append(p)
            for shape, alike in shapes.items():
                for p in alike:
                    self.state[p].setdefault('momentum', torch.zeros_like(p)).lerp_(p.grad, 1 - group['momentum'])
                updates = [p.grad.lerp(self.state[p]['momentum'], group['momentum']) for p in alike]
                parts = torch.stack(updates).flatten(2).chunk(torch.get_num_threads() if updates[0].is_cpu else 1)
                updates = torch.cat(list(self.threads.map(lambda part: orthogonal(part, self.dtype), parts)))
                scale = 0.2 * max(updates.shape[1:]) ** 0.5
                for p, update in zip(alike, updates):
                    p.mul_(1 - group['lr'] * group['weight_decay'])
                    p.add_(update.view(shape), alpha=-group['lr'] * scale)
