"""What the network is told of the noise. For white noise in training: levels that are uniform, differ by channel, vary
smoothly or follow brightness. For any noise: its level over brightness, and its grain.

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


# ---- Noise of any kind ------------------------------------------------------------------------------------------

KNOTS = 9                  # of the level over brightness, evenly spaced from black to white
OCTAVES = 3                # pixels, means of 2x2, means of 4x4
GRAIN = 2 * OCTAVES
LEAST = 0.1 / 255          # level; a crop may have no noise at all, in deep shadow


def brightness(y):
    """What the level follows: the noisy photo (B,3,H,W), smoothed along its rows (Gaussian of sd 2 pixels)."""
    line = torch.exp(-torch.arange(-6., 7, device=y.device) ** 2 / 8)
    kernel = (line / line.sum()).expand(3, 1, 1, -1)
    return functional.conv2d(functional.pad(y, (6, 6, 0, 0), 'replicate'), kernel, groups=3).clamp(0, 1)


def hats(t):
    """Weights of the knots at brightness t, of linear interpolation: (...,KNOTS)."""
    return (1 - (t[..., None] * (KNOTS - 1) - torch.arange(KNOTS, device=t.device)).abs()).clamp(min=0)


def level_at(curve, y):
    """The noise sd of every pixel of y (B,3,H,W), from its variance at the knots (B,3,KNOTS)."""
    return (hats(brightness(y)) * curve[:, :, None, None]).sum(4).sqrt()


def level_of(n, y):
    """The sd of noise n in y, both (B,3,H,W): a curve over brightness for every crop and channel, at every pixel."""
    weights = hats(brightness(y).flatten(2))                                          # (B,3,HW,KNOTS)
    square = n.flatten(2).square()[..., None]
    mean = square.mean(2, keepdim=True)
    # Ridge: where there are few pixels of a brightness, the mean; neighbouring knots alike.
    bend = torch.eye(KNOTS, device=y.device)
    bend = (bend[1:] - bend[:-1]).T @ (bend[1:] - bend[:-1])
    normal = weights.mT @ weights + n[0, 0].numel() * (0.002 * torch.eye(KNOTS, device=y.device) + 0.01 * bend)
    curve = torch.linalg.solve(normal, weights.mT @ (square - mean)) + mean
    return level_at(curve.maximum(0.05 * mean + LEAST ** 2).squeeze(3), y)


def grain_of(n, level):
    """How much more noise there is in each octave than white noise of that level would have, less 1: (B,GRAIN), of
    luma (the mean of the channels) at three octaves, then of chroma (what is left). White noise has 0."""
    z = n / level
    luma = z.mean(1, keepdim=True)
    grain = [(functional.avg_pool2d(part, 2 ** k) * 2 ** k).square().mean((1, 2, 3)).sqrt() * white
             for part, white in ((luma, 3 ** 0.5), (z - luma, 1.5 ** 0.5)) for k in range(OCTAVES)]
    return torch.stack(grain, 1) - 1


def grey_grain(grain):
    """What the network is told of a grey photo, one channel thrice, whose noise has this grain (B,GRAIN): its luma
    relative to the level that is told (model.grey_inputs), and of chroma, which there is none of, nothing."""
    return functional.pad((1 + grain[:, :OCTAVES]) / 3 ** 0.5 - 1, (0, OCTAVES))


def planes(level, grain):
    """What the network sees: the level (B,3,H,W), and its mean over the channels times each of the grain's numbers,
    so that all of it grows as the noise does: (B,3+GRAIN,H,W)."""
    return torch.cat([level, level.mean(1, keepdim=True) * grain[:, :, None, None]], 1)
