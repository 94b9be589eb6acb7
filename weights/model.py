"""The score network: a bias-free U-Net for the posterior mean, positively homogeneous in (y, noise level), and a
head for the posterior covariance. It may have more heads: another one for the covariance where noise is white, and
one that judges the noise level it is told.

The heads read the features relative to the noise level, and the level itself: what is behind the noise does not scale
with it. (A photo's own grain is of one or two levels whatever the noise; heads that did not know the level were too
sure of smooth places under little noise.)

First-order score s1 = (D - y) / sigma^2, second-order score s2 = (C - sigma^2 I) / sigma^4 (Robbins 1956; Efron 2011;
Meng, Song, Li, Ermon 2021). The network emits D and the Cholesky factor of C / sigma^2.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import torch
from torch import nn
from torch.nn import functional

import tensorfile
from noise import HIGHEST, LOWEST

UNIT = 20 / 255         # of the noise level that heads are told, as a logarithm
VOTE = 4                # bound of the logarithm of a vote's weight


class ResidualBlock(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.a = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.b = nn.Conv2d(width, width, 3, padding=1, bias=False)
        nn.init.kaiming_normal_(self.a.weight)
        nn.init.kaiming_normal_(self.b.weight)
        self.b.weight.data *= 0.2

    def forward(self, x):
        return x + self.b(torch.relu(self.a(x)))


def head_layers(width, outputs, mixed=False):
    """Two layers; few channels between, as what heads find is smoother than the mean. mixed: and one that mixes what
    those find at a place, without which the variance cannot follow the error from smooth places to texture at every
    level."""
    hidden = min(width, 32)
    layers = [nn.Conv2d(width + 1, hidden, 3, padding=1), nn.Conv2d(hidden, outputs, 3, padding=1)]
    if mixed:
        layers.append(nn.Conv2d(outputs, outputs, 1))
    layers[-1].weight.data *= 0.1
    return layers


class ScoreNet(nn.Module):
    """(y, noise) -> (posterior mean D, covariance parameters g).

    y: (B,3,H,W) encoded R'G'B', white = 1. noise: (B,noise_planes,H,W), first the noise sd of every pixel and channel,
    same unit, then, in networks that know correlated noise, its grain (noise.planes); without it the noise is white.
    H and W must be multiples of `multiple`.
    blocks: residual blocks at every scale on the way down, at the last scale, and at every scale on the way up.
    g: (B,6,H,W): g[0:3] the log-variance ratios of the Cholesky diagonal, g[3:6] = l10, l20, l21; see `cholesky`.
    """

    def __init__(self, widths, blocks, shuffle=2, noise_planes=3, judges_level=False, white_head=False):
        super().__init__()
        w0, s2 = widths[0], shuffle * shuffle
        stage = lambda width, count: nn.Sequential(*[ResidualBlock(width) for _ in range(count)])
        down, last, up = blocks
        self.widths, self.blocks, self.shuffle, self.noise_planes = tuple(widths), tuple(blocks), shuffle, noise_planes
        self.judges_level, self.white_head = judges_level, white_head
        self.multiple = shuffle * 2 ** (len(widths) - 1)
        self.un = nn.PixelUnshuffle(shuffle)
        self.ps = nn.PixelShuffle(shuffle)
        self.head = nn.Conv2d(6 * s2 + noise_planes - 3, w0, 3, padding=1, bias=False)
        pairs = list(zip(widths[:-1], widths[1:]))
        self.d = nn.ModuleList(stage(a, down) for a, _ in pairs)
        self.dn = nn.ModuleList(nn.Conv2d(a, b, 2, stride=2, bias=False) for a, b in pairs)
        self.up = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, stride=2, bias=False) for a, b in pairs)
        self.u = nn.ModuleList(stage(a, up) for a, _ in pairs)
        self.mid = stage(widths[-1], last)
        self.tail = nn.Conv2d(w0, 3 * s2, 3, padding=1, bias=False)
        self.tail.weight.data *= 0.1
        self.h1, self.h2 = head_layers(w0, 6 * s2)
        self.h2.bias.data[:3 * s2] = -2.0
        if white_head:
            self.w1, self.w2, self.w3 = head_layers(w0, 6 * s2, mixed=True)
            self.w3.bias.data[:3 * s2] = -2.0
        if judges_level:
            self.l1, self.l2 = head_layers(w0, 2)

    def trunk(self, x):
        """The layers between head and tail, which training may run in bfloat16: they see features only, never y."""
        skips = []
        for stage, down in zip(self.d, self.dn):
            x = stage(x)
            skips.append(x)
            x = down(x)
        x = self.mid(x)
        for stage, up, skip in zip(reversed(self.u), reversed(self.up), reversed(skips)):
            x = stage(up(x) + skip)
        return x

    def features(self, y, noise):
        """What the trunk makes of y, (B,widths[0],H/shuffle,W/shuffle)."""
        if noise.shape[1] < self.noise_planes:
            noise = functional.pad(noise, (0, 0, 0, 0, 0, self.noise_planes - noise.shape[1]))
        inputs = self.un(torch.cat([y, noise[:, :3]], 1))
        if self.noise_planes > 3:
            inputs = torch.cat([inputs, functional.avg_pool2d(noise[:, 3:], self.shuffle)], 1)
        return self.trunk(self.head(inputs)).float()

    def for_heads(self, features, noise):
        """What the heads read: (B,widths[0]+1,H/shuffle,W/shuffle)."""
        level = functional.avg_pool2d(noise[:, :3], self.shuffle).mean(1, keepdim=True)
        return self.relative(features, level, (level.clamp(LOWEST, HIGHEST) / UNIT).log())

    @staticmethod
    def relative(features, level, log_level):
        return torch.cat([torch.asinh(features / level), log_level], 1)

    def forward(self, y, noise):
        x = self.features(y, noise)
        mean = y - self.ps(self.tail(x))
        f = torch.lerp(x.detach(), x, 0.1)        # the covariance head barely steers the trunk
        white = self.white_head and (noise.shape[1] == 3 or not noise[:, 3:].any())
        first, *others = (self.w1, self.w2, self.w3) if white else (self.h1, self.h2)
        g = first(self.for_heads(f, noise))
        for layer in others:
            g = layer(torch.relu(g))
        return mean, self.ps(g)

    def votes(self, y, noise):
        """-> for every cell of y, (B,H/shuffle,W/shuffle): the logarithm of the true noise level over the one told, as
        far as can be seen there, and the logarithm of that vote's weight: texture tells little, what is flat much."""
        x = self.for_heads(self.features(y, noise), noise)
        return self.l2(torch.relu(self.l1(x))).unbind(1)


def poll(vote, weight):
    """(B,h,w) each -> (B,): their weighted mean."""
    return (vote * weight.clamp(-VOTE, VOTE).exp()).sum((1, 2)) / weight.clamp(-VOTE, VOTE).exp().sum((1, 2))


def load(path):
    """The network in a safetensors file, its shape taken from the file's metadata; weights become float32."""
    tensors, metadata = tensorfile.read(path)
    widths, blocks = ([int(n) for n in metadata[key].split(',')] for key in ('widths', 'blocks'))
    net = ScoreNet(widths, blocks, int(metadata['shuffle']), int(metadata['noise_planes']),
                   'l1.weight' in tensors, 'w1.weight' in tensors)
    net.load_state_dict({name: torch.from_numpy(array.astype('float32')) for name, array in tensors.items()})
    return net


def cholesky(g, level):
    """C = L L^T with L_kk = level_k exp(g_k / 2) and L_kl = level_k h_kl: always positive definite.
    Returns the diagonal (B,3,H,W) and (l10, l20, l21) (B,3,H,W)."""
    diagonal = level * torch.exp(0.5 * g[:, :3].clamp(-8, 3))
    return diagonal, level[:, [1, 2, 2]] * g[:, 3:]


def covariance(g, level):
    """Posterior covariance of every pixel's colour: (B,6,H,W) as rr, rg, rb, gg, gb, bb, in squared units of y."""
    d, l = cholesky(g, level)
    return torch.stack([
        d[:, 0] ** 2, d[:, 0] * l[:, 0], d[:, 0] * l[:, 1],
        l[:, 0] ** 2 + d[:, 1] ** 2, l[:, 0] * l[:, 1] + d[:, 1] * l[:, 2],
        l[:, 1] ** 2 + l[:, 2] ** 2 + d[:, 2] ** 2], 1)


def variance(g, level):
    """Posterior variance of every channel, (B,3,H,W)."""
    return covariance(g, level)[:, [0, 3, 5]]


def gaussian_nll(r, g, level):
    """0.5 r^T C^-1 r + 0.5 log det(C / level^2), (B,H,W)."""
    d, l = cholesky(g, level)
    u0 = r[:, 0] / d[:, 0]
    u1 = (r[:, 1] - l[:, 0] * u0) / d[:, 1]
    u2 = (r[:, 2] - l[:, 1] * u0 - l[:, 2] * u1) / d[:, 2]
    return 0.5 * (u0 ** 2 + u1 ** 2 + u2 ** 2) + 0.5 * g[:, :3].clamp(-8, 3).sum(1)


def grey_inputs(y, level):
    """A grey photo (B,1,H,W) as colour input: its noise is the same in all three channels. Along the grey axis
    (1,1,1)/sqrt(3) its sd is sqrt(3) level, so the network is told that level; the estimate is the mean of the three
    channels, its variance that of this mean."""
    return y.expand(-1, 3, -1, -1), (3 ** 0.5 * level).expand(-1, 3, -1, -1)


def grey_variance(g, level):
    """Variance of the mean of the three channels, (B,1,H,W): |L^T w|^2 with w = (1,1,1)/3, which unlike the sum over
    the covariance cannot fall below zero by rounding."""
    d, l = cholesky(g, level)
    return ((d[:, :1] + l[:, :1] + l[:, 1:2]) ** 2 + (d[:, 1:2] + l[:, 2:]) ** 2 + d[:, 2:] ** 2) / 9


def pad(x, multiple):
    """Mirrors the right and bottom edge (edge pixel repeated) until both sides are multiples of `multiple`."""
    for axis in (2, 3):
        n = x.shape[axis]
        k = torch.arange(-n % multiple, device=x.device) + n
        period = k % (2 * n)
        mirrored = torch.where(period < n, period, 2 * n - 1 - period)
        x = torch.cat([x, x.index_select(axis, mirrored)], axis)
    return x
