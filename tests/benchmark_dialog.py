# SPDX-License-Identifier: GPL-3.0-or-later
"""How long the dialog takes on a photo of 24 MP: until its window is there, from then to the first denoised pixels and to
the preview of the chosen model, and the same from a move of the slider on.

The plug-in tells the time in its debug messages.  What is reported is the best of several rounds.
"""
import os
import pathlib
import re
import tempfile
import time
import unittest

import numpy as np
from PIL import Image

import gimp

SAMPLE = pathlib.Path(__file__).parent / 'data' / 'sample.png'
SIZE = 6000, 4000
ROUNDS = 3
MESSAGE = re.compile(r'grainwise-DEBUG: (\d+):(\d+):([\d.]+): (open|change|first look|preview)$', re.M)


def run_dialog(path):
    """Inside of GIMP."""
    import test_gimp_batch as batch

    image = batch.load(path)
    try:
        batch.denoise(image, image.get_layers()[0], run_mode=batch.Gimp.RunMode.INTERACTIVE, noise_level=-1.0)
    except batch.Refused:
        image.delete()


class Messages:
    """What the plug-in says, with the second of the day."""
    def __init__(self, path):
        self.path = path

    def all(self):
        return [(word, 3600 * int(h) + 60 * int(m) + float(s)) for h, m, s, word in MESSAGE.findall(self.path.read_text())]

    def wait_for(self, word, since):
        """The first such moment among all but the first so many messages."""
        return gimp.wait_for(lambda: next(([moment] for said, moment in self.all()[since:] if said == word), None), 120)[0]


class DialogBenchmark(unittest.TestCase):
    def one_round(self, folder):
        log = folder / 'log'
        with open(log, 'w') as output:
            process = gimp.start(os.environ | {'G_MESSAGES_DEBUG': 'grainwise'},
                                 gimp.call('benchmark_dialog', 'run_dialog', str(folder / 'photo.png')), output=output)
        try:
            messages = Messages(log)
            opened = messages.wait_for('open', 0)
            opening = [messages.wait_for(word, 0) - opened for word in ('first look', 'preview')]
            dialog = gimp.wait_for(lambda: gimp.find_window('^Denoise with Confidence$'))
            gimp.wait_for(lambda: gimp.find(dialog, ('label',), '^Noise about.*doubtful'))
            gimp.press(gimp.find(dialog, ('check box',), 'Estimate the noise'))
            time.sleep(3)
            before = len(messages.all())
            gimp.find(dialog, ('spin button',), '^Noise level$').get_value_iface().set_current_value(30)
            moved = messages.wait_for('change', before)
            moving = [messages.wait_for(word, before) - moved for word in ('first look', 'preview')]
            gimp.press(gimp.find(dialog, ('push button', 'button'), '^Cancel$'))
            process.wait(60)
        finally:
            process.kill()
            process.wait()
        return opening + moving

    def test_dialog(self):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            tile = np.asarray(Image.open(SAMPLE).convert('RGB'))
            photo = np.tile(tile, (SIZE[1] // tile.shape[0] + 1, SIZE[0] // tile.shape[1] + 1, 1))[:SIZE[1], :SIZE[0]]
            noise = np.random.default_rng(0).normal(0, 10, photo.shape)
            Image.fromarray(np.clip(photo + noise, 0, 255).astype('uint8')).save(folder / 'photo.png', compress_level=1)
            figures = np.min([self.one_round(folder) for _ in range(ROUNDS)], axis=0)
        print('\n| 24 MP, model best | first denoised pixels, s | preview, s |\n|---|---|---|')
        for i, after in enumerate(('the window is open', 'the noise level was changed')):
            print(f'| after {after} | {figures[2 * i]:.2f} | {figures[2 * i + 1]:.2f} |')
