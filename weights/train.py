"""Trains the score network on clean photographs and writes checkpoints.

    train.py FOLDER_OR_FILE... --out RUN --minutes 98 [--start WEIGHTS.safetensors]

RUN/checkpoint.pt holds everything needed to go on after an interruption: run the same command again (with more
photos, if there are more). RUN/log.tsv has a line every 100 steps. The rate falls to zero along a cosine over
`--minutes` of training time, and the weights to use are the checkpoint's `ema`.

Losses (theory: Vincent 2011; Meng et al. 2021):
* first order: squared error, weighted by 1 / (level^2 + (4/255)^2) so that the lowest levels do not take all the
  gradient. It must be squared error, or the mean is no posterior mean and the variance is wrong.
* second order: Gaussian negative log-likelihood of the residual under the predicted covariance, the mean held fixed.
  Its minimiser is that of second-order denoising score matching; it is weighted as beta-NLL (Seitzer et al. 2022).

SPDX-License-Identifier: GPL-3.0-or-later
"""
import argparse
import math
import os
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn import functional

import model

BATCH, CROP = 8, 128                # crops a step, pixels a side
GREY = BATCH // 8                   # how many of them are grey photos
CHECKPOINT_SECONDS = 180
WARM_UP = 200                       # steps
SECOND_WEIGHT = 0.05
LOWEST, HIGHEST = 0.5 / 255, 100 / 255   # noise levels met in training; uniform ones end at 75 levels
SOFT = (4 / 255) ** 2


def load_photos(paths):
    """-> list of (H,W,3) uint8 arrays, at least CROP pixels a side."""
    files = [f for p in map(Path, paths) for f in (sorted(p.iterdir()) if p.is_dir() else [p])]
    photos = [np.asarray(Image.open(f).convert('RGB')) for f in files if f.suffix in ('.webp', '.png')]
    return [p for p in photos if min(p.shape[:2]) >= CROP]


def clean_crops(photos, rng):
    """-> (BATCH,3,CROP,CROP) float32, white = 1: random places of random photos, turned and mirrored.
    Photos are drawn by the square root of their area, so that large ones do not rule."""
    share = np.array([p.shape[0] * p.shape[1] for p in photos]) ** 0.5
    crops = []
    for k in rng.choice(len(photos), BATCH, p=share / share.sum()):
        i, j = (rng.integers(n - CROP + 1) for n in photos[k].shape[:2])
        crop = np.rot90(photos[k][i:i + CROP, j:j + CROP], rng.integers(4))
        crops.append(crop[:, ::-1] if rng.integers(2) else crop)
    return torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float() / 255


def with_grain(x, rng):
    """Half the crops get film grain, of up to 3 levels, which is part of the photo and not to be removed: photos from
    the web have none, and a network that has seen only those is too sure of smooth places."""
    sd = torch.from_numpy(rng.uniform(-3, 3, (len(x), 1, 1, 1)).clip(0) / 255).float()
    colour, spread = rng.uniform(0, 1), rng.uniform(0, 0.5)       # 0: grey grain; 0: white grain
    field = colour ** 0.5 * torch.randn_like(x) + (1 - colour) ** 0.5 * torch.randn_like(x[:, :1])
    line = torch.tensor([spread, 1, spread])
    kernel = torch.outer(line, line) / line.square().sum()         # keeps the variance
    return x + sd * functional.conv2d(field, kernel.expand(3, 1, 3, 3), padding=1, groups=3)


def log_uniform(rng, factor, *shape):
    """Random factors between 1/sqrt(factor) and sqrt(factor)."""
    return torch.from_numpy(factor ** rng.uniform(-0.5, 0.5, shape)).float()


def noise_level(x, rng):
    """The noise sd of one crop x (3,H,W): (3,H,W), same unit. Half the crops have one level; a sixth each have channels
    that differ, a map that varies smoothly, and a map that follows the brightness, as sensor noise does.
    The last one comes from means over a quarter of the side, so that the map tells nothing about x's detail."""
    level = (75 * rng.random() ** 1.3 / 255) * torch.ones(3, 1, 1)
    kind = rng.integers(6)
    if kind >= 3:
        level = level * log_uniform(rng, 3, 3, 1, 1)
    if kind >= 4:
        if kind == 4:
            grid = log_uniform(rng, 4, rng.choice([1, 3]), *rng.integers(2, 5, 2))
        else:
            tone = functional.adaptive_avg_pool2d(x, 4)
            tone = tone if rng.integers(2) else 1 - tone
            share = rng.random()
            grid = (share * tone / (tone.mean() + 0.01) + 1 - share).clamp(min=0.05).sqrt()
        level = level * functional.interpolate(grid[None], x.shape[1:], mode='bilinear')[0]
    return level.clamp(LOWEST, HIGHEST).expand(x.shape)


def losses(net, x, level):
    """x, level: (B,3,H,W). -> first loss, second loss, mean of r^2 / variance. The first GREY crops become grey."""
    luma = x.new_tensor([0.299, 0.587, 0.114])[:, None, None]
    grey, grey_level = (luma * x[:GREY]).sum(1, keepdim=True), level[:GREY, :1]
    y_grey, told = model.grey_inputs(grey + grey_level * torch.randn_like(grey), grey_level)
    x, level = x[GREY:], level[GREY:]
    y = torch.cat([y_grey, x + level * torch.randn_like(x)])
    h, w = x.shape[2:]
    mean, g = net(model.pad(y, net.multiple), model.pad(torch.cat([told, level]), net.multiple))
    mean, g = mean[..., :h, :w], g[..., :h, :w]

    def weighted(nll, ratio):
        """beta-NLL with beta = 0.5. nll: (B,H,W); ratio: variance over squared noise level, any number of channels."""
        return (ratio.detach().mean(1).sqrt() * nll).clamp(max=50)

    r = x - mean[GREY:]
    v = model.variance(g[GREY:], level)
    first = (r.square() / (level ** 2 + SOFT)).sum(1)
    nll = weighted(model.gaussian_nll(r.detach(), g[GREY:], level), v / level ** 2)

    r_grey = grey - mean[:GREY].mean(1, keepdim=True)
    v_grey = model.grey_variance(g[:GREY], told)
    ratio = v_grey / grey_level ** 2
    first_grey = (r_grey.square() / (grey_level ** 2 + SOFT)).sum(1)
    nll_grey = weighted(0.5 * (r_grey.detach() ** 2 / v_grey + ratio.log()).squeeze(1), ratio)

    return (torch.cat([first_grey, first]).mean(), torch.cat([nll_grey, nll]).mean(),
            (r.detach().square() / v.detach()).mean())


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('photos', nargs='+', help='folders or files (WebP, PNG)')
    parser.add_argument('--out', type=Path, required=True, help='folder for checkpoint.pt and log.tsv')
    parser.add_argument('--minutes', type=float, required=True, help='training time after which the rate is zero')
    parser.add_argument('--rate', type=float, default=6e-4, help='peak learning rate')
    parser.add_argument('--start', help='weights to start from (safetensors)')
    arguments = parser.parse_args()

    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    net = model.load(arguments.start) if arguments.start else model.ScoreNet()
    net = net.to(device, memory_format=torch.channels_last)
    # bfloat16 drowns noise below about 3 levels, so the layers that touch y and the residual stay in float32.
    net.trunk = torch.autocast(device, dtype=torch.bfloat16)(net.trunk)
    ema = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    optimiser = torch.optim.AdamW(net.parameters(), lr=0, weight_decay=1e-5, betas=(0.9, 0.99))
    step, elapsed = 0, 0.0

    arguments.out.mkdir(parents=True, exist_ok=True)
    checkpoint = arguments.out / 'checkpoint.pt'
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location=device)
        net.load_state_dict(state['model'])
        optimiser.load_state_dict(state['optimiser'])
        ema, step, elapsed = state['ema'], state['step'], state['elapsed']

    def save():
        torch.save({'model': net.state_dict(), 'ema': ema, 'optimiser': optimiser.state_dict(),
                    'step': step, 'elapsed': elapsed}, checkpoint.with_suffix('.new'))
        os.replace(checkpoint.with_suffix('.new'), checkpoint)

    photos = load_photos(arguments.photos)
    rng = np.random.default_rng(step)
    torch.manual_seed(step)
    area = sum(p.shape[0] * p.shape[1] for p in photos) / 1e6
    print(f'{len(photos)} photos, {area:.0f} MP, from step {step}, on {device}', flush=True)
    log = open(arguments.out / 'log.tsv', 'a', buffering=1)
    if not step:
        print('step', 'minutes', 'rate', 'first', 'second', 'zms', 'gradient', sep='\t', file=log)
    recent, clock, saved = [], time.monotonic(), time.monotonic()
    while elapsed < 60 * arguments.minutes:
        rate = arguments.rate * min(1, (step + 1) / WARM_UP) \
            * 0.5 * (1 + math.cos(math.pi * elapsed / 60 / arguments.minutes))
        for group in optimiser.param_groups:
            group['lr'] = rate
        x = with_grain(clean_crops(photos, rng), rng)
        level = torch.stack([noise_level(crop, rng) for crop in x])
        if rng.integers(4) == 0:      # as at inference, where a photo's sides are seldom multiples of 16
            h, w = rng.integers(CROP - net.multiple + 1, CROP + 1, 2)
            x, level = x[..., :h, :w], level[..., :h, :w]
        first, second, zms = losses(net, x.to(device), level.to(device))
        optimiser.zero_grad(set_to_none=True)
        (first + SECOND_WEIGHT * second).backward()
        gradient = torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        if gradient.isfinite():       # one overflow must not cost the run; the log shows it as nan
            optimiser.step()
        step += 1
        with torch.no_grad():
            for name, tensor in net.state_dict().items():
                ema[name].lerp_(tensor, 1 - min(0.999, (1 + step) / (10 + step)))
        now = time.monotonic()
        elapsed, clock = elapsed + now - clock, now
        recent.append([first.item(), second.item(), zms.item(), gradient.item()])
        if step % 100 == 0:
            means = (f'{m:.4f}' for m in np.mean(recent, 0))
            print(step, f'{elapsed / 60:.2f}', f'{rate:.3g}', *means, sep='\t', file=log)
            recent.clear()
        if now - saved > CHECKPOINT_SECONDS:
            save()
            saved = now
    save()


if __name__ == '__main__':
    main()
