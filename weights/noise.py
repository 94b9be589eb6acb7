"""Noise levels for training: uniform, per channel, smoothly varying, and following brightness.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import torch
from torch.nn import functional

LOWEST, HIGHEST = 0.5 / 255, 100 / 255   # noise levels met in training; uniform ones end at 75 levels


def levels(x, generator):
    """The noise sd of clean crops x (B,3,H,W): (B,3,H,W), same unit. Half the crops have one level; a sixth each have
    channels that differ, a map that varies smoothly, and a map that follows the brightness as sensor noise does, its
    variance a x + b. The last one comes from means over a quarter of the side, so that it tells nothing of detail."""
    count = len(x)
    uniform = lambda *shape: torch.rand(shape, generator=generator, device=x.device)
    factor = lambda largest, *shape: largest ** (uniform(*shape) - 0.5)
    level = 75 / 255 * uniform(count, 1, 1, 1) ** 1.3
    kind = torch.randint(6, (count, 1, 1, 1), generator=generator, device=x.device)
    channels = factor(3, count, 3, 1, 1)
    smooth = factor(4, count, 3, 4, 4)
    tone = functional.adaptive_avg_pool2d(x, 4)
    tone = torch.where(uniform(count, 1, 1, 1) < 0.5, tone, 1 - tone)
    share = uniform(count, 1, 1, 1)
    signal = (share * tone / (tone.mean((1, 2, 3), keepdim=True) + 0.01) + 1 - share).clamp(min=0.05).sqrt()
    field = torch.where(kind == 5, signal, torch.where(kind == 4, smooth, 1))
    field = functional.interpolate(field, x.shape[2:], mode='bilinear')
    return (level * torch.where(kind >= 3, channels, 1) * field).clamp(LOWEST, HIGHEST)
