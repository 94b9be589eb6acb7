"""Trains the score network on clean photographs, on a CPU or a GPU, and writes checkpoints.

    train.py PHOTOS... --validation PHOTOS --out RUN --minutes 98 [--start WEIGHTS.safetensors]

PHOTOS are files, folders or ZIP archives. RUN/checkpoint.pt holds everything needed to go on after an interruption: run
the same command again, with more minutes or photos if there are more. RUN/log.tsv has a line every two minutes, with
figures on the validation photos; curves.py draws it. The rate is constant, then falls linearly to zero over the last
part of the `--minutes` of training time; the weights to use are the checkpoint's `ema`.

Losses (theory: Vincent 2011; Meng et al. 2021):
* first order: squared error, weighted by the noise level and how hard the crop is (`importance`). It must be squared
  error, or the mean is no posterior mean and the variance is wrong.
* second order: Gaussian negative log-likelihood of the residual under the predicted covariance, the mean held fixed.
  Its minimiser is that of second-order denoising score matching; it is weighted as beta-NLL (Seitzer et al. 2022).

SPDX-License-Identifier: GPL-3.0-or-later
"""
import argparse
import math
import os
import time
from pathlib import Path

os.environ.setdefault('OPENBLAS_NUM_THREADS', '1')      # its threads and PyTorch's wait for each other

import numpy as np
import torch

import model
import noise
import residual
import revive
from camera import photograph, raise_shadows
from grow import grow
from muon import Muon
from photos import Photos, with_grain

GRAIN_ERROR = 0.2                   # of what the network is told of a camera's noise, as --level-error
GREY = 8                            # one crop in so many is a grey photo
CAMERA = 6                          # one step in so many has cameras' noise, if wanted; white noise is harder to learn
CHECKPOINT_SECONDS = 120
DORMANT_CROPS = 32                  # in which hidden channels are looked for that are never active
LONGEST_STEP = 10                   # seconds; what is beyond was a pause, not training
WARM_UP = 200                       # steps
TRUNK = 'd', 'dn', 'mid', 'up', 'u'  # layers whose kernels Muon trains
FIRST_WEIGHT, SECOND_WEIGHT = 0.5, 0.05
BETA = 0.5                          # of beta-NLL; 0 is the likelihood itself
SOFT, FAINT = (2 / 255) ** 2, (0.3 / 255) ** 2
VALIDATION_CROPS, VALIDATION_SIDE, VALIDATION_LEVELS = 48, 128, (5, 15, 25, 50)


def weighted(nll, ratio, beta=BETA):
    """beta-NLL. nll: (B,H,W); ratio: variance over squared noise level, any number of channels."""
    return (ratio.detach().mean(1) ** beta * nll).clamp(max=50)


def importance(level, variance):
    """Weight of a crop's squared errors, given the predicted variance, (B,channels,H,W) both: one over the geometric
    mean of the level and the crop's mean variance. What counts is dB: the error grows about as the level does, and is
    less where a photo is smooth. (A weight that depends on the noisy crop leaves the posterior mean what it is; one
    that depends on the clean crop would not.)"""
    crop = variance.detach().mean((1, 2, 3), keepdim=True)
    return FIRST_WEIGHT / ((level ** 2 + SOFT).sqrt() * (crop + FAINT)).sqrt()


def colour_losses(x, mean, g, level, beta):
    """-> weighted squared error (B,H,W), weighted likelihood (B,H,W), mean of r^2 / variance."""
    r = x - mean
    v = model.variance(g, level)
    return ((r.square() * importance(level, v)).sum(1),
            weighted(model.gaussian_nll(r.detach(), g, level), v / level ** 2, beta),
            (r.detach().square() / v.detach()).mean())


def with_grey(x):
    """Crops (B,3,H,W), the first B // GREY of them made grey: three equal channels."""
    n = len(x) // GREY
    luma = (x.new_tensor([0.299, 0.587, 0.114])[:, None, None] * x[:n]).sum(1, keepdim=True)
    return torch.cat([luma.expand(-1, 3, -1, -1), x[n:]])


def losses(x, mean, g, told, beta):
    """Of clean crops with_grey and the level that the network was told, (B,3,H,W) both: first loss, second loss, mean
    of r^2 / variance where there is colour."""
    n = len(x) // GREY
    first, second, zms = colour_losses(x[n:], mean[n:], g[n:], told[n:], beta)

    r = x[:n, :1] - mean[:n].mean(1, keepdim=True)
    level = told[:n, :1] / 3 ** 0.5                             # see model.grey_inputs
    v = model.grey_variance(g[:n], told[:n])
    ratio = v / level ** 2
    first_grey = (r.square() * importance(level, v)).sum(1)
    second_grey = weighted(0.5 * (r.detach() ** 2 / v + ratio.log()).squeeze(1), ratio, beta)
    return torch.cat([first_grey, first]).mean(), torch.cat([second_grey, second]).mean(), zms


def white_losses(net, x, level, beta=BETA):
    """The losses of clean crops x with white noise of that level, (B,3,H,W) both."""
    n, x = len(x) // GREY, with_grey(x)
    grey, grey_told = model.grey_inputs(x[:n, :1] + level[:n, :1] * torch.randn_like(x[:n, :1]), level[:n, :1])
    y = torch.cat([grey, x[n:] + level[n:] * torch.randn_like(x[n:])])
    told = torch.cat([grey_told, level[n:]])
    h, w = x.shape[2:]
    mean, g = (t[..., :h, :w] for t in net(model.pad(y, net.multiple), model.pad(told, net.multiple)))
    return losses(x, mean, g, told, beta)


def camera_losses(net, x, level_error, generator, beta=BETA):
    """The losses of clean crops x photographed by random cameras. The network is told the noise's level and grain
    wrong, as an estimate from one photo is (level_error: sd of its logarithm), so that its variance allows for that."""
    n = len(x) // GREY
    target, y = map(with_grey, raise_shadows(*photograph(x, generator), generator))
    level = noise.level_of(y - target, y)
    grain = noise.grain_of(y - target, level)
    normal = lambda *shape: torch.randn(shape, generator=generator, device=x.device)
    level = level * (level_error * (normal(len(x), 1, 1, 1) + 0.3 * normal(len(x), 3, 1, 1))).exp()
    grain = (1 + grain) * (GRAIN_ERROR * normal(*grain.shape)).exp() - 1
    _, grey_told = model.grey_inputs(y[:n, :1], level[:n, :1])
    told, grain = torch.cat([grey_told, level[n:]]), torch.cat([noise.grey_grain(grain[:n]), grain[n:]])
    mean, g = net(y, noise.planes(told, grain))
    return losses(target, mean, g, told, beta)


@torch.no_grad()
def validate(net, x):
    """-> PSNR at every validation level, averaged over crops, and ZMS over all. The same noise every time."""
    generator, psnr, zms = torch.Generator(x.device).manual_seed(0), [], []
    for sigma in VALIDATION_LEVELS:
        level = torch.full_like(x, sigma / 255)
        y = x + level * torch.randn(x.shape, generator=generator, device=x.device)
        mean, g = (torch.cat(parts) for parts in zip(*map(net, y.split(8), level.split(8))))
        error = (mean - x).square()
        psnr.append(-10 * error.mean((1, 2, 3)).log10().mean().item())
        zms.append((error / model.variance(g, level)).mean().item())
    return psnr + [sum(zms) / len(zms)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('photos', nargs='+', help='files, folders, ZIP archives (WebP, PNG)')
    parser.add_argument('--validation', nargs='+', required=True, help='photos for the figures in the log')
    parser.add_argument('--out', type=Path, required=True, help='folder for the checkpoints and log.tsv')
    parser.add_argument('--minutes', type=float, required=True, help='training time after which the rate is zero')
    parser.add_argument('--rate', type=float, default=1.5e-3, help='learning rate before it falls')
    parser.add_argument('--fall', type=float, default=0.2, help='share of the time in which it falls to zero; 1 '
                        'and a low rate to go on from weights that are trained well')
    parser.add_argument('--batch', type=int, default=16, help='crops a step')
    parser.add_argument('--crop', type=int, default=64, help='pixels a side')
    parser.add_argument('--start', help='weights to start from (safetensors); they may be of a smaller network')
    parser.add_argument('--widths', type=int, nargs='+', required=True, help='channels at every scale')
    parser.add_argument('--blocks', type=int, nargs=3, required=True, help='residual blocks at every scale on the '
                        'way down, at the last scale, and at every scale on the way up')
    parser.add_argument('--camera', action='store_true', help='one step in six noise of cameras, told by its grain')
    parser.add_argument('--level-error', type=float, default=0.2, help='error of the level told of cameras\' noise, sd '
                        'of its logarithm (default 0.2); 0.4 for a model that is to estimate the level')
    parser.add_argument('--compile', action='store_true', help='compile the network: minutes first, then faster (GPU)')
    arguments = parser.parse_args()
    if not 0 < arguments.fall <= 1:
        parser.error('--fall must be above 0, and 1 at most')

    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    torch.manual_seed(0)
    torch.set_flush_denormal(True)      # products of tiny gradients, in Muon, are several times as slow as others
    shape = {'widths': arguments.widths, 'blocks': arguments.blocks,
             'noise_planes': 3 + noise.GRAIN * arguments.camera, 'white_head': arguments.camera}
    net = grow(model.load(arguments.start), **shape) if arguments.start else model.ScoreNet(**shape)
    net = net.to(device)
    if device == 'cuda':
        # bfloat16 drowns noise below about 3 levels, so the layers that touch y and the residual stay in float32.
        net.to(memory_format=torch.channels_last)
        net.trunk = torch.autocast(device, dtype=torch.bfloat16)(net.trunk)
    else:
        residual.use(net)
    ema = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    kernels = {name: p for name, p in net.named_parameters() if p.dim() == 4 and name.split('.')[0] in TRUNK}
    others = [p for name, p in net.named_parameters() if name not in kernels]
    optimisers = [torch.optim.AdamW(others, lr=0, weight_decay=1e-5, betas=(0.9, 0.99)), Muon(kernels.values(), lr=0)]
    step, elapsed = 0, 0.0

    arguments.out.mkdir(parents=True, exist_ok=True)
    falling = (1 - arguments.fall) * 60 * arguments.minutes    # seconds, when the rate begins to fall
    for name in ('checkpoint', 'stable'):
        checkpoint = arguments.out / f'{name}.pt'
        if checkpoint.exists():
            state = torch.load(checkpoint, map_location=device)
            if name == 'checkpoint' and state['elapsed'] > state['falling'] != falling:
                continue                                # its rate has fallen, to a plan of other minutes
            net.load_state_dict(state['model'])
            for optimiser, saved in zip(optimisers, state['optimisers']):
                optimiser.load_state_dict(saved)
            ema, step, elapsed = state['ema'], state['step'], state['elapsed']
            break

    def save():
        """Writes checkpoint.pt, and the same as stable.pt while the rate is at its height: from there a longer run
        can go on as if it had been planned so."""
        state = {'model': net.state_dict(), 'ema': ema, 'optimisers': [o.state_dict() for o in optimisers],
                 'step': step, 'elapsed': elapsed, 'falling': falling, 'shape': shape}
        for name in ('checkpoint', 'stable') if elapsed < falling else ('checkpoint',):
            torch.save(state, arguments.out / 'new.pt')
            os.replace(arguments.out / 'new.pt', arguments.out / f'{name}.pt')

    photos = Photos(arguments.photos, arguments.crop, device)
    clean = Photos(arguments.validation, VALIDATION_SIDE, device).crops(
        VALIDATION_CROPS, VALIDATION_SIDE, torch.Generator(device).manual_seed(0))
    generator = torch.Generator(device).manual_seed(step)
    rng = np.random.default_rng(step)
    run = torch.compile(net) if arguments.compile else net
    area = photos.area.sum().item() / 1e6
    print(f'{len(photos.area)} photos, {area:.0f} MP, from step {step}, on {device}', flush=True)
    log = open(arguments.out / 'log.tsv', 'a', buffering=1)
    if not step:
        print('step', 'minutes', 'rate', 'first', 'second', 'zms', 'gradient',
              *(f'psnr{sigma}' for sigma in VALIDATION_LEVELS), 'validation_zms', 'dormant', sep='\t', file=log)
    recent, found, clock, saved = [], {}, time.monotonic(), time.monotonic()
    while elapsed < 60 * arguments.minutes:
        left = 60 * arguments.minutes - elapsed
        rate = arguments.rate * min(1, (step + 1) / WARM_UP, left / (60 * arguments.minutes * arguments.fall))
        for optimiser in optimisers:
            for group in optimiser.param_groups:
                group['lr'] = rate
        x = photos.varied_crops(arguments.batch, arguments.crop, generator)
        if arguments.camera and step % CAMERA == 0:
            first, second, zms = camera_losses(run, x, arguments.level_error, generator)
        else:
            x = with_grain(x, generator)
            if not arguments.compile and rng.integers(4) == 0:   # as at inference: sides are seldom multiples of 16
                h, w = rng.integers(arguments.crop - net.multiple + 1, arguments.crop + 1, 2)
                x = x[..., :h, :w]
            first, second, zms = white_losses(run, x, noise.levels(x, generator))
        (first + SECOND_WEIGHT * second).backward()
        gradient = torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        for optimiser in optimisers:
            if gradient.isfinite():       # one overflow must not cost the run; the log shows it as nan
                optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        step += 1
        with torch.no_grad():
            share = 1 - min(0.999, (1 + step) / (10 + step))
            for name, tensor in net.state_dict().items():
                ema[name].lerp_(tensor, share)
        recent.append(torch.stack([first.detach(), second.detach(), zms, gradient]))
        now = time.monotonic()
        elapsed, clock = elapsed + min(now - clock, LONGEST_STEP), now
        if now - saved > CHECKPOINT_SECONDS or elapsed >= 60 * arguments.minutes:
            x = photos.varied_crops(DORMANT_CROPS, arguments.crop, generator)
            level = torch.logspace(math.log10(noise.LOWEST), math.log10(noise.HIGHEST), DORMANT_CROPS, device=device)
            level = level[:, None, None, None].expand_as(x)     # some channels are for faint noise alone
            before, found = found, revive.look(net, x + level * torch.randn_like(x), level)
            if elapsed < falling:
                revive.revive(revive.both(before, found),
                              [{p: ema[name] for name, p in net.named_parameters()},
                               {p: state['momentum'] for p, state in optimisers[1].state.items()}])
            save()
            current = {name: tensor.clone() for name, tensor in net.state_dict().items()}
            net.load_state_dict(ema)
            figures = torch.stack(recent).mean(0).tolist() + validate(net, clean)
            net.load_state_dict(current)
            print(step, f'{elapsed / 60:.2f}', f'{rate:.3g}', *(f'{f:.4f}' for f in figures), revive.dormant(found),
                  sep='\t', file=log)
            recent.clear()
            saved = clock = time.monotonic()


if __name__ == '__main__':
    main()
