"""Drawn training pictures: text, line art and gradients, which photo collections lack and photos of signs, maps and
screens have. Drawn at four times the size and scaled down, so that edges are smooth.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import string

import numpy as np
from PIL import Image, ImageDraw, ImageFont

SIDE, SCALE = 512, 4


def colour(rng):
    """Half the time a grey, else any colour; dark, light and saturated ones are as likely as others."""
    return tuple(int(v) for v in (np.repeat(rng.integers(256), 3) if rng.integers(2) else rng.integers(0, 256, 3)))


def two_colours(rng):
    """Two that differ enough to read one on the other."""
    while True:
        a, b = colour(rng), colour(rng)
        if abs(sum(a) - sum(b)) > 150:
            return a, b


def text(rng):
    """Columns of made-up words in several sizes."""
    ground, ink = two_colours(rng)
    image = Image.new('RGB', (SIDE * SCALE,) * 2, ground)
    draw = ImageDraw.Draw(image)
    y = 0
    while y < SIDE * SCALE:
        size = SCALE * int(9 * 6 ** rng.random())
        words = (''.join(rng.choice(list(string.ascii_letters + string.digits + '.,-()'), rng.integers(1, 10)))
                 for _ in range(40))
        draw.text((rng.integers(-size, size), y), ' '.join(words), ink, ImageFont.load_default(size))
        y += int(1.3 * size)
        if rng.integers(8) == 0:
            ground, ink = two_colours(rng)
            draw.rectangle((0, y, SIDE * SCALE, y + SIDE * SCALE), ground)
    return image


def lines(rng):
    """Strokes, circles, filled polygons and hatching."""
    image = Image.new('RGB', (SIDE * SCALE,) * 2, colour(rng))
    draw = ImageDraw.Draw(image)
    point = lambda: tuple(int(v) for v in rng.integers(0, SIDE * SCALE, 2))
    for _ in range(60):
        width = int(SCALE * 0.75 * 8 ** rng.random())
        kind = rng.integers(4)
        if kind == 0:
            draw.line([point() for _ in range(rng.integers(2, 6))], colour(rng), width, 'curve')
        elif kind == 1:
            (x, y), radius = point(), int(SCALE * 4 * 30 ** rng.random())
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), outline=colour(rng), width=width)
        elif kind == 2:
            (x, y), size = point(), SCALE * 80
            draw.polygon([(x + int(a), y + int(b)) for a, b in rng.integers(-size, size, (rng.integers(3, 6), 2))],
                         colour(rng))
        else:
            (x, y), (dx, dy), ink = point(), rng.integers(-2 * width, 2 * width, 2) * 2, colour(rng)
            lean, length = int(rng.integers(-300, 300)), int(SCALE * rng.integers(10, 100))
            for k in range(rng.integers(5, 30)):
                draw.line((x + k * dx, y + k * dy, x + k * dx + lean, y + k * dy + length), ink, width)
    return image


def gradient(rng):
    """Smooth transitions between four to sixteen colours, dithered as cameras' noise would."""
    rows, columns = rng.integers(2, 5, 2)
    corners = np.array([[colour(rng) for _ in range(columns)] for _ in range(rows)])
    smooth = np.stack([np.asarray(Image.fromarray(c.astype(np.float32)).resize((SIDE, SIDE), Image.Resampling.BICUBIC))
                       for c in corners.transpose(2, 0, 1)], 2)
    return Image.fromarray((smooth + rng.random((SIDE, SIDE, 1))).clip(0, 255).astype(np.uint8))


def pictures():
    """Yields (name, image) of every drawn picture; the same at every call."""
    rng = np.random.default_rng(0)
    for draw, count in ((text, 10), (lines, 10), (gradient, 6)):
        for number in range(count):
            image = draw(rng)
            yield f'{draw.__name__}-{number:02}', image.resize((SIDE, SIDE), Image.Resampling.LANCZOS)
