"""Noise as cameras and phones leave it: a clean photo taken back to the sensor, given shot and read noise there, and
developed again with demosaicing, tone curve, noise reduction, sharpening, resizing and JPEG.

After Brooks et al. 2019 (unprocessing), Guo et al. 2019 (CBDNet) and Zhang et al. 2023 (SCUNet). Everything works on
batches (B,3,H,W), on the device of its input; every crop has its own camera, except that the demosaicing method, the
size and the chroma subsampling are drawn once a batch.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import torch
from torch.nn import functional

# XYZ to camera colour, D65, times 10^4: Sony A7R, Olympus E-M10, Sony RX100 IV, Huawei Nexus 6P (as in Brooks et al.)
CAMERAS = torch.tensor([
    [[1.0234, -0.2969, -0.2266], [-0.5625, 1.6328, -0.0469], [-0.0703, 0.2188, 0.6406]],
    [[0.4913, -0.0541, -0.0202], [-0.6130, 1.3513, 0.2906], [-0.1564, 0.2151, 0.7183]],
    [[0.8380, -0.2630, -0.0639], [-0.2887, 1.0725, 0.2496], [-0.0627, 0.1427, 0.5438]],
    [[0.6596, -0.2079, -0.0562], [-0.4782, 1.3016, 0.1933], [-0.0970, 0.1581, 0.5181]]])
RGB_TO_XYZ = torch.tensor([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750],
                           [0.0193339, 0.1191920, 0.9503041]])
# JPEG standard, annex K
LUMA = torch.tensor([
    [16, 11, 10, 16, 24, 40, 51, 61], [12, 12, 14, 19, 26, 58, 60, 55], [14, 13, 16, 24, 40, 57, 69, 56],
    [14, 17, 22, 29, 51, 87, 80, 62], [18, 22, 37, 56, 68, 109, 103, 77], [24, 35, 55, 64, 81, 104, 113, 92],
    [49, 64, 78, 87, 103, 121, 120, 101], [72, 92, 95, 98, 112, 100, 103, 99]]).float()
CHROMA = torch.full((8, 8), 99.)
CHROMA[:4, :4] = torch.tensor([[17, 18, 24, 47], [18, 21, 26, 66], [24, 26, 56, 99], [47, 66, 99, 99]]).float()
TO_YCC = torch.tensor([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
TO_RGB = torch.linalg.inv(TO_YCC)


class Random:
    """Numbers for every crop of a batch, (B,1,1,1) unless said otherwise."""

    def __init__(self, count, generator):
        self.count, self.generator, self.device = count, generator, generator.device

    def uniform(self, low=0., high=1., channels=1):
        return low + (high - low) * torch.rand((self.count, channels, 1, 1), generator=self.generator,
                                               device=self.device)

    def normal(self, shape):
        return torch.randn(shape, generator=self.generator, device=self.device)

    def chance(self, share):
        return self.uniform() < share

    def once(self, n):
        """One whole number below n for the batch."""
        return torch.randint(n, (1,), generator=self.generator, device=self.device).item()


def mix(x, matrix):
    """Colours times a matrix (3,3) or (B,3,3)."""
    return torch.einsum('...ij,bjhw->bihw' if matrix.dim() == 2 else 'bij,bjhw->bihw', matrix.to(x), x)


def blur(x, kernel):
    """Every channel filtered by a kernel (N,N), edges repeated."""
    n = kernel.shape[0] // 2
    kernel = kernel.to(x).expand(x.shape[1], 1, *kernel.shape)
    return functional.conv2d(functional.pad(x, 4 * [n], 'replicate'), kernel, groups=x.shape[1])


def soften(x, sd, radius):
    """Every channel filtered by a Gaussian, along rows and then columns."""
    line = torch.exp(-torch.arange(-radius, radius + 1, device=x.device) ** 2 / (2 * sd ** 2))
    line = (line / line.sum()).expand(x.shape[1], 1, 1, -1)
    x = functional.pad(x, 4 * [radius], 'replicate')
    return functional.conv2d(functional.conv2d(x, line, groups=x.shape[1]), line.mT, groups=x.shape[1])


# ---- Sensor -----------------------------------------------------------------------------------------------------


def srgb_decode(x):
    return torch.where(x <= 0.04045, x / 12.92, ((x.clamp(min=0.04045) + 0.055) / 1.055) ** 2.4)


def srgb_encode(x):
    return torch.where(x <= 0.0031308, 12.92 * x, 1.055 * x.clamp(min=0.0031308) ** (1 / 2.4) - 0.055)


def camera_matrices(random):
    """Linear sRGB to camera, white to white: (B,3,3), mixtures of real cameras."""
    share = random.uniform(channels=len(CAMERAS))[:, :, 0, 0] ** 3
    matrix = torch.einsum('bk,kij->bij', share / share.sum(1, keepdim=True), CAMERAS.to(share)) @ RGB_TO_XYZ.to(share)
    return matrix / matrix.sum(2, keepdim=True)


def mosaic_masks(x):
    """(1,3,H,W): where an RGGB sensor sees red, green, blue."""
    masks = torch.zeros(1, 3, *x.shape[2:], device=x.device)
    masks[:, 0, 0::2, 0::2] = masks[:, 2, 1::2, 1::2] = 1
    masks[:, 1, 0::2, 1::2] = masks[:, 1, 1::2, 0::2] = 1
    return masks


def interpolate(planes, masks):
    """Missing values from the neighbours that have them, bilinearly."""
    kernel = torch.tensor([[1., 2, 1], [2, 4, 2], [1, 2, 1]])
    return torch.where(masks > 0, planes, blur(planes * masks, kernel) / blur(masks, kernel))


def demosaic(x, method):
    """Keeps of x what an RGGB sensor sees and fills in the rest: 0 bilinear, 1 with the gradients of the known channel
    (Malvar, He, Cutler 2004), 2 green along edges, then colour differences (Hamilton and Adams 1997)."""
    masks = mosaic_masks(x)
    seen = (x * masks).sum(1, keepdim=True)
    bilinear = interpolate(x, masks)
    if method == 0:
        return bilinear
    red, green, blue = (masks[:, k:k + 1] for k in range(3))
    if method == 1:
        cross = torch.tensor([[0., 0, -1, 0, 0], [0, 0, 0, 0, 0], [-1, 0, 4, 0, -1], [0, 0, 0, 0, 0], [0, 0, -1, 0, 0]])
        row = torch.tensor([[0., 0, 1, 0, 0], [0, -2, 0, -2, 0], [-2, 0, 10, 0, -2], [0, -2, 0, -2, 0], [0, 0, 1, 0, 0]])
        row = row / 2
        cross, row, column = (blur(seen, kernel) / 8 for kernel in (cross, row, row.T))
        in_red = torch.zeros_like(green)
        in_red[:, :, 0::2] = 1                           # rows that have red
        at_green = lambda own: green * torch.where(in_red == own, row, column)
        return bilinear + torch.cat([1.5 * blue * cross + at_green(1), (red + blue) * cross,
                                     1.5 * red * cross + at_green(0)], 1)
    estimates, roughness = [], []
    for horizontal in (True, False):
        shape = (1, 1, 1, 5) if horizontal else (1, 1, 5, 1)
        pad = (2, 2, 0, 0) if horizontal else (0, 0, 2, 2)
        wide = functional.pad(seen, pad, 'replicate')
        filtered = lambda line: functional.conv2d(wide, torch.tensor(line).to(x).view(shape))
        estimates.append(filtered([-0.25, 0.5, 0.5, 0.5, -0.25]))
        roughness.append(filtered([0., 1, 0, -1, 0]).abs() + filtered([-1., 0, 2, 0, -1]).abs())
    full = torch.where(green > 0, seen, torch.where(roughness[0] < roughness[1], *estimates))
    others = full + interpolate(x - full, masks)
    return torch.cat([others[:, :1], full, others[:, 2:]], 1)


# ---- Development ------------------------------------------------------------------------------------------------


def blocks(x):
    """(B,C,H,W) -> (B,C,H/8,W/8,8,8)"""
    return x.unflatten(3, (-1, 8)).unflatten(2, (-1, 8)).transpose(3, 4).contiguous()


def jpeg(x, quality, subsample):
    """What JPEG of that quality (B,1,1,1), 1-100, leaves of encoded colours 0-1; sides are multiples of 16. Quality
    scales the standard's tables as libjpeg does."""
    n = torch.arange(8, device=x.device)
    dct = torch.cos((2 * n + 1) * n[:, None] * torch.pi / 16) / 2
    dct[0] /= 2 ** 0.5
    scale = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality)

    def twice(x, matrix):
        """matrix x matrix^T, as products with one large matrix each"""
        return ((x @ matrix.T).mT.contiguous() @ matrix.T).mT.contiguous()

    def squeeze(plane, table):
        steps = ((table.to(x) * scale + 50) / 100).floor().clamp(1, 255)[:, :, None, None]
        coded = (twice(blocks(plane), dct) / steps).round() * steps
        return twice(coded, dct.T).transpose(3, 4).flatten(4, 5).flatten(2, 3)

    ycc = mix(255 * x, TO_YCC).round()
    luma, chroma = ycc[:, :1] - 128, ycc[:, 1:]
    if subsample:
        chroma = functional.avg_pool2d(chroma, 2)
    luma, chroma = squeeze(luma, LUMA) + 128, squeeze(chroma, CHROMA)
    if subsample:
        chroma = functional.interpolate(chroma, scale_factor=2, mode='bilinear')
    return (mix(torch.cat([luma, chroma], 1), TO_RGB).round() / 255).clamp(0, 1)


def core(x, threshold):
    """Noise reduction by coring: fine detail well below the threshold goes, detail well above stays."""
    smooth = soften(x, 1.2, 3)
    detail = x - smooth
    return smooth + detail ** 3 / (detail ** 2 + threshold ** 2)


def photograph(x, generator, shot=None, method=None, quality=None):
    """x: clean square photos (B,3,H,H), encoded 0-1, sides multiples of 32. -> target, y: what a camera would make of
    the scene without noise, and with it, half to all their size. The difference is the noise, including JPEG's.
    What is not given is drawn: shot, the variance of the shot noise at white, which follows ISO; method of demosaicing,
    see `demosaic`; JPEG quality."""
    random = Random(len(x), generator)
    # Back to the sensor
    tone = random.chance(0.5)
    linear = srgb_decode(x)
    linear = torch.where(tone, 0.5 - (((1 - 2 * linear).clamp(-1, 1)).asin() / 3).sin(), linear)
    matrix = camera_matrices(random)
    gains = torch.cat([random.uniform(1.2, 2.4), random.uniform(1, 1), random.uniform(1.2, 2.4)], 1)
    exposure = random.uniform(0.5, 1)
    sensor = (exposure * mix(linear, matrix) / gains).clamp(0, 1)

    # Noise: shot and read noise as on the sensors of Brooks et al., and a little banding
    shot = 2e-5 * 300 ** random.uniform() if shot is None else random.uniform(shot, shot)
    read = (2.18 * shot.log() + 1.2 + 0.3 * random.normal(shot.shape)).exp()
    noisy = sensor + (shot * sensor + read).sqrt() * random.normal(x.shape)
    banding = random.chance(0.2) * random.uniform(0, 0.4) * read.sqrt()
    noisy = noisy + banding * random.normal((len(x), 1, x.shape[2], 1))
    method = random.once(3) if method is None else method

    # Development, the same for both
    inverse = torch.linalg.inv(matrix)
    smooths, threshold = random.chance(0.4), 0.06 * random.uniform() ** 2 + 1e-3
    softens, softness = random.chance(0.7), 0.5 + 0.15 * random.once(6)
    mutes, spread = random.chance(0.4), 1 + random.once(3)
    sharpens, strength = random.chance(0.5), random.uniform(0, 1.2)
    side = x.shape[2] - 16 * random.once(x.shape[2] // 32 + 1) * (random.once(3) == 0)

    def develop(raw):
        y = mix(demosaic(raw, method) * gains / exposure, inverse).clamp(0, 1)
        y = srgb_encode(torch.where(tone, 3 * y ** 2 - 2 * y ** 3, y))
        y = torch.where(smooths, core(y, threshold), y)
        y = torch.where(softens, soften(y, softness, 4), y)
        luma = mix(y, TO_YCC[:1].expand(3, 3))
        y = torch.where(mutes, luma + soften(y - luma, spread, 6), y)
        y = torch.where(sharpens, y + strength * (luma - soften(luma, 1, 3)), y)
        if side != x.shape[2]:
            y = functional.interpolate(y, (side, side), mode='bicubic', antialias=True)
        return y.clamp(0, 1)

    target, y = develop(sensor), develop(noisy)
    if quality is not None:
        return target, jpeg(y, random.uniform(quality, quality), random.once(2) == 1)
    packed = jpeg(y, (60 + 40 * random.uniform()).round(), random.once(2) == 1)
    return target, torch.where(random.chance(0.7), packed, (255 * y).round() / 255)


def raise_shadows(target, y, generator):
    """One in four of the photos (B,3,H,W), encoded 0-1, with its shadows raised, as people do before they denoise: by an
    exponent between 1/2 and 1, in both alike. The noisy one is of whole 8-bit levels again."""
    random = Random(len(y), generator)
    gamma = torch.where(random.chance(0.25), 1 / random.uniform(1, 2), 1)
    return target ** gamma, (255 * y ** gamma).round() / 255
