"""Muon (Jordan et al. 2024): momentum whose matrices are made orthogonal before the step, so that a layer learns in all
its directions at once. Scaled to the size of an Adam step (Liu et al. 2025).

SPDX-License-Identifier: GPL-3.0-or-later
"""
from concurrent.futures import ThreadPoolExecutor

import torch


def orthogonal(x):
    """Nearest semi-orthogonal matrix, roughly (singular values 0.7-1.2), by five Newton-Schulz steps. (R,C)
    Every step multiplies x from the left by a polynomial in x x^T, so all but the last product are of that smaller
    matrix."""
    if x.shape[0] > x.shape[1]:
        return orthogonal(x.mT).mT
    x = x / (x.norm() + 1e-12)
    gram, product = x @ x.mT, None
    for _ in range(5):
        step = torch.addmm(gram, gram, gram, beta=-4.7750, alpha=2.0315)
        step.diagonal().add_(3.4445)
        product = step if product is None else step @ product
        gram = step @ gram @ step
    return product @ x


class Muon(torch.optim.Optimizer):
    """For convolution kernels, taken as matrices of outputs by inputs times places."""

    def __init__(self, parameters, lr, momentum=0.95):
        # A processor's products of this size are best done by one thread each.
        self.threads = ThreadPoolExecutor(torch.get_num_threads(), initializer=torch.set_num_threads, initargs=(1,))
        super().__init__(parameters, dict(lr=lr, momentum=momentum))

    def step(self):
        for group in self.param_groups:
            @torch.no_grad()            # a thread's own setting
            def update(p):
                momentum = self.state[p].setdefault('momentum', torch.zeros_like(p)).lerp_(p.grad, 1 - group['momentum'])
                direction = p.grad.lerp(momentum, group['momentum']).permute(0, 2, 3, 1)       # as it lies in memory
                step = orthogonal(direction.flatten(1))
                p.permute(0, 2, 3, 1).add_(step.view(direction.shape), alpha=-group['lr'] * 0.2 * max(step.shape) ** 0.5)

            parameters = [p for p in group['params'] if p.grad is not None]
            parameters.sort(key=torch.Tensor.numel, reverse=True)
            list((map if parameters[0].is_cuda else self.threads.map)(update, parameters))
