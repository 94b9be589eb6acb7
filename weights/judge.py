"""Trains the head that judges the noise level it is told, on finished weights: everything else stays as it is to the
last bit.

    judge.py WEIGHTS.safetensors PHOTOS... --out OUT.safetensors --version N --minutes 45

What a photo alone tells of its noise (core/estimate.c) is the variance of its smoothest places, and that is too much
where there are none. The network has learned what photos look like, and its features tell texture from noise. Here its
level is told as that estimate would tell it, from the smoothest blocks of a crop, and the head learns by how much that
is off. Noise is white, of cameras (camera.py), and of any other spectrum and level over brightness: a head that saw
cameras' noise as synthesised and nothing else took every noise that is a little coarser for texture.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import argparse
import time

import torch
from torch.nn import functional

import model
import noise
import residual
import tensorfile
from camera import photograph
from photos import Photos

HEAD = 'l1', 'l2'
BATCH, CROP = 4, 192
RATE, FALL = 1e-3, 0.7              # learning rate; share of the time in which it falls to zero
GREY, EXPOSED = 0.3, 0.5            # shares of photos made grey, and made darker or overexposed
FLOOR = 0.3 / 255                   # a photo without noise has this; the logarithm needs some
LEAST, MOST = -3, 1                 # bounds of what is to be learned
EACH = 0.1                          # weight of every vote's own error, beside that of their mean
BLOCK = 16                          # as in core/estimate.c
REPORT = 60                         # seconds


def loss(error):
    return functional.smooth_l1_loss(error, torch.zeros_like(error), beta=0.3)


def rounded(y):
    return ((255 * y).round() / 255).clamp(0, 1)


def coloured(x, generator):
    """Gaussian noise for clean crops x (B,3,H,W), 0.3 to 30 levels: of a random spectrum, as the sum of four octaves,
    in luma and in chroma, half of it softened besides, and of a random level over brightness."""
    count, _, height, width = x.shape
    uniform = lambda: torch.rand((count, 1, 1, 1), generator=generator)

    def field(channels):
        total = 0
        for octave in range(4):
            size = (count, channels, (height >> octave) + 4, (width >> octave) + 4)
            plane = torch.randn(size, generator=generator)
            if octave:
                plane = functional.interpolate(plane, scale_factor=2 ** octave, mode='bicubic')
            first = 2 ** octave + torch.randint(2 ** octave, (1,), generator=generator).item()
            amount = uniform() ** 2 * (0.4 if octave == 3 else 1)
            total = total + amount * plane[..., first:first + height, first:first + width]
        return total / total.square().mean((1, 2, 3), keepdim=True).sqrt()

    chroma = field(3)
    n = field(1) + 2 * uniform() ** 2 * (chroma - chroma.mean(1, keepdim=True))
    n = torch.where(uniform() < 0.5, functional.avg_pool2d(n, 3, 1, 1, count_include_pad=False), n)
    tone = functional.avg_pool2d(functional.pad(x, (4, 4, 4, 4), 'replicate').mean(1, keepdim=True), 9, 1)
    share = uniform()
    n = n * (share * torch.where(uniform() < 0.5, tone, 1 - tone) + 1 - share).clamp(min=0.03).sqrt()
    return 0.3 / 255 * 100 ** uniform() * n / n.square().mean((1, 2, 3), keepdim=True).sqrt()


def measure(y, generator):
    """-> level (B,3,1,1) and grain (B,GRAIN) of the smoothest blocks of y (B,3,H,W), a random small share of them:
    noise, and what texture there is."""
    count, _, height, width = y.shape
    down, across = height // BLOCK, width // BLOCK
    blocks = y[..., :down * BLOCK, :across * BLOCK].unflatten(3, (across, BLOCK)).unflatten(2, (down, BLOCK))
    blocks = blocks.permute(0, 2, 4, 1, 3, 5).flatten(1, 2)                                 # (B,blocks,3,BLOCK,BLOCK)
    blocks = blocks - blocks.mean((3, 4), keepdim=True)
    variance = blocks.square().mean((2, 3, 4)).clamp(min=1e-9)
    share = 0.02 + 0.15 * torch.rand(count, generator=generator)
    highest = torch.stack([v.quantile(s) for v, s in zip(variance, share)])[:, None]
    chosen = (variance <= highest).float()
    chosen = chosen / chosen.sum(1, keepdim=True)
    typical = lambda ratio: (ratio.clamp(min=1e-6).log() * chosen).sum(1).exp().sqrt()
    channels = torch.stack([typical(blocks[:, :, c].square().mean((2, 3)) / variance) for c in range(3)], 1)
    luma, grain = blocks.mean(2, keepdim=True), []
    for part, white in ((luma, 3), (blocks - luma, 1.5)):
        for octave in range(noise.OCTAVES):
            means = functional.avg_pool2d(part.flatten(0, 2), 2 ** octave) * 2 ** octave
            energy = means.square().mean((1, 2)).view(count, down * across, -1).mean(2)
            grain.append(typical(white * energy / variance))
    return (highest.sqrt() * channels)[..., None, None], torch.stack(grain, 1) - 1


def sample(x, generator):
    """Clean crops x -> noisy crops y, what the network is told of their noise (B,noise planes,H,W), and the logarithm
    of the true level over that (B,)."""
    count = len(x)
    uniform = lambda *shape: torch.rand((count, *shape), generator=generator)
    normal = lambda *shape: torch.randn((count, *shape), generator=generator)
    exposure = torch.where(uniform(1, 1, 1) < EXPOSED, 0.25 * 8 ** uniform(1, 1, 1), 1)
    x = (exposure * x).clamp(max=1)
    kind = torch.randint(5, (1,), generator=generator).item()
    if kind == 0:
        y = rounded(x + noise.levels(x, generator) * uniform(1, 1, 1) ** 1.5 * normal(*x.shape[1:]))
    elif kind <= 2:
        y = rounded(x + coloured(x, generator))
    else:
        x, y = photograph(x, generator, shot=2e-7 * 30000 ** torch.rand(1, generator=generator).item())
    grey = torch.rand(1, generator=generator) < GREY
    if grey:
        x, y = (t.mean(1, keepdim=True).expand(-1, 3, -1, -1) for t in (x, y))

    true = noise.level_of(y - x, y)
    rms = (y - x).square().mean((1, 2, 3), keepdim=True).sqrt()
    target = (rms ** 2 + FLOOR ** 2).sqrt()
    true = true * target / rms.clamp(min=1e-5)
    level, grain = measure(y, generator)
    measured = uniform(1, 1, 1) < 0.6            # else told as it is, but for an error
    level = torch.where(measured, level.clamp(min=FLOOR / 2) * (0.15 * normal(1, 1, 1)).exp(),
                        true * (0.3 * normal(1, 1, 1) + 0.1 * normal(3, 1, 1)).exp())
    grain = torch.where(measured[:, :, 0, 0], grain, noise.grain_of(y - x, true))
    if grey:
        grain = noise.grey_grain(grain)
    grain = torch.where(uniform(1) < (0.5 if kind == 0 else 0.08), 0, grain)
    grain = ((1 + grain) * (0.1 * normal(noise.GRAIN)).exp() - 1).clamp(-0.98, 6)
    ratio = (target / level.square().mean((1, 2, 3), keepdim=True).sqrt()).log().flatten()
    return y, noise.planes(level * (3 ** 0.5 if grey else 1), grain), ratio.clamp(LEAST, MOST)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('weights')
    parser.add_argument('photos', nargs='+', help='as for train.py')
    parser.add_argument('--out', required=True)
    parser.add_argument('--version', required=True)
    parser.add_argument('--minutes', type=float, default=45)
    arguments = parser.parse_args()

    torch.manual_seed(0)
    torch.set_flush_denormal(True)
    trained = model.load(arguments.weights)
    net = model.ScoreNet(trained.widths, trained.blocks, trained.shuffle, trained.noise_planes, True, trained.white_head)
    net.load_state_dict(trained.state_dict(), strict=False)
    net.requires_grad_(False)
    residual.use(net)
    head = {name: p.requires_grad_(True) for name, p in net.named_parameters() if name.split('.')[0] in HEAD}
    mean = {name: p.detach().clone() for name, p in head.items()}
    optimiser = torch.optim.AdamW(head.values(), weight_decay=1e-4)
    photos, generator = Photos(arguments.photos, CROP), torch.Generator().manual_seed(0)
    step, recent, begin = 0, [], time.monotonic()
    reported = begin

    def save():
        tensors, metadata = tensorfile.read(arguments.weights)
        tensors |= {name: tensor.numpy().astype('<f2') for name, tensor in mean.items()}
        tensorfile.write(arguments.out, tensors, metadata | {
            'version': arguments.version,
            'training': f'{metadata["training"]}; level head {step} steps by judge.py'})

    while (left := 1 - (time.monotonic() - begin) / (60 * arguments.minutes)) > 0:
        optimiser.param_groups[0]['lr'] = RATE * min(1, (step + 1) / 50, left / FALL)
        y, told, ratio = sample(photos.crops(BATCH, CROP, generator), generator)
        side = y.shape[2] // net.multiple * net.multiple
        vote, weight = net.votes(y[..., :side, :side], told[..., :side, :side])
        error = model.poll(vote, weight) - ratio
        (loss(error) + EACH * loss(vote - ratio[:, None, None])).backward()
        torch.nn.utils.clip_grad_norm_(head.values(), 1.0)
        optimiser.step()
        optimiser.zero_grad()
        step += 1
        for name, p in head.items():
            mean[name].lerp_(p.detach(), max(0.005, 1 / step))
        recent.append((error.abs().mean().item(), ratio.abs().mean().item()))
        if time.monotonic() - reported > REPORT:
            reported = time.monotonic()
            print('step {}: error {:.3f}, of what was told {:.3f}'.format(step, *torch.tensor(recent).mean(0)), flush=True)
            recent.clear()
            save()
    save()


if __name__ == '__main__':
    main()
