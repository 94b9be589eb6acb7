"""Clean crops for training: photos as bytes in one tensor, cut out, turned and given grain on the device that trains.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import io
import zipfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn import functional

SUFFIXES = '.webp', '.png'


def files(paths):
    """Yields what PIL can open for every photo in these files, folders and ZIP archives, in order of name."""
    for path in map(Path, paths):
        if path.suffix == '.zip':
            with zipfile.ZipFile(path) as archive:
                for name in sorted(archive.namelist()):
                    if name.endswith(SUFFIXES):
                        yield io.BytesIO(archive.read(name))
        else:
            yield from (f for f in (sorted(path.iterdir()) if path.is_dir() else [path]) if f.suffix in SUFFIXES)


class Photos:
    """All photos of some files, folders and ZIP archives that have at least `smallest` pixels a side."""

    def __init__(self, paths, smallest, device='cpu'):
        arrays = [np.asarray(Image.open(file).convert('RGB')) for file in files(paths)]
        arrays = [a for a in arrays if min(a.shape[:2]) >= smallest]
        if not arrays:
            raise SystemExit(f'no photos of at least {smallest} pixels a side in {", ".join(map(str, paths))}')
        self.device = device
        self.bytes = torch.from_numpy(np.concatenate([a.ravel() for a in arrays])).to(device)
        self.height, self.width = (torch.tensor([a.shape[k] for a in arrays], device=device) for k in (0, 1))
        self.area, self.smaller_side = self.height * self.width, torch.minimum(self.height, self.width)
        self.start = 3 * (self.area.cumsum(0) - self.area)

    def crops(self, count, side, generator):
        """-> (count,3,side,side) float32, white = 1: random places of random photos large enough, turned and mirrored.
        Photos are drawn by the square root of their area, so that large ones do not rule."""
        random = lambda: torch.rand((count, 1, 1), generator=generator, device=self.device)
        chances = self.area.sqrt() * (self.smaller_side >= side)
        k = torch.multinomial(chances, count, True, generator=generator)[:, None, None]
        top, left = ((random() * (n[k] - side + 1)).long() for n in (self.height, self.width))
        i, j = torch.meshgrid(*2 * [torch.arange(side, device=self.device)], indexing='ij')
        turn = random() < 0.5
        i, j = torch.where(turn, j, i), torch.where(turn, i, j)
        i, j = (torch.where(random() < 0.5, side - 1 - n, n) for n in (i, j))
        place = self.start[k] + 3 * ((top + i) * self.width[k] + left + j)
        return self.bytes[place[:, None] + torch.arange(3, device=self.device)[:, None, None]].float() / 255

    def varied_crops(self, count, side, generator):
        """The same, but of half the batches the photos made smaller, to a third at most, and half the crops softened or
        sharpened: what is fine detail in a photo, and how fine, depends on its size, lens, scanner and whoever
        developed it."""
        uniform = lambda *shape: torch.rand(shape, generator=generator, device=self.device)
        source = min(round(side * max(1, 4 * uniform(1).item() - 1)), self.smaller_side.max().item())
        x = self.crops(count, source, generator)
        if source > side:
            x = functional.interpolate(x, (side, side), mode='bicubic', antialias=True).clamp(0, 1)
        line = torch.tensor([0.25, 0.5, 0.25], device=self.device)
        kernel = torch.outer(line, line).expand(3, 1, 3, 3)
        soft = functional.conv2d(functional.pad(x, (1, 1, 1, 1), 'replicate'), kernel, groups=3)
        amount = torch.where(uniform(count, 1, 1, 1) < 0.5, 1.6 * uniform(count, 1, 1, 1) - 0.6, 0)
        return (x + amount * (x - soft)).clamp(0, 1)


def with_grain(x, generator):
    """Every crop gets film grain, of up to 3 levels and mostly grey, stronger in one channel or brightness than in
    another. It is part of the photo and not to be removed: photos from the web have little (the flattest parts of ours
    vary by 1 to 2 levels, those of scanned film by 2 to 3), and a network that has seen only those is too sure of
    smooth places."""
    uniform = lambda *shape: torch.rand(shape, generator=generator, device=x.device)
    normal = lambda *shape: torch.randn(shape, generator=generator, device=x.device)
    slope = 1.2 * uniform(len(x), 1, 1, 1) - 0.6                    # over brightness
    tone = 1 + slope * (2 * x.mean(1, keepdim=True) - 1)
    sd = 3 / 255 * uniform(len(x), 1, 1, 1) * (0.2 * normal(len(x), 3, 1, 1)).exp() * tone
    colour = uniform(len(x), 1, 1, 1) ** 2                          # 0: grey grain; 1: of its own in every channel
    field = colour.sqrt() * normal(*x.shape) + (1 - colour).sqrt() * normal(len(x), 1, *x.shape[2:])
    spread = 0.7 * uniform(1).item()                                # 0: white grain
    line = torch.tensor([spread, 1, spread], device=x.device)
    kernel = torch.outer(line, line) / line.square().sum()          # keeps the variance
    return x + sd * functional.conv2d(field, kernel.expand(3, 1, 3, 3), padding=1, groups=3)
