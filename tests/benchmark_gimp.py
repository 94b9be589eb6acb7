# SPDX-License-Identifier: GPL-3.0-or-later
"""How long the plug-in takes on a photo of 24 MP.

The dialog: from its window's opening, for the first time in a new profile and again, to the first pixels (of the noisy
photo); from there and from a move of the slider to the first denoised pixels and to the preview of the chosen model, as
the plug-in tells in its debug messages. In batch: the whole procedure, and what of that is not the network's own time,
which the engine's benchmark takes in turn. The best of several rounds counts.
"""
import json
import os
import pathlib
import re
import subprocess
import tempfile
import time
import unittest

import numpy as np
from PIL import Image

import gimp

SAMPLE = pathlib.Path(__file__).parent / 'data' / 'sample.png'
SIZE = 6000, 4000
ROUNDS = 2
MESSAGE = re.compile(r'grainwise-DEBUG: (\d+):(\d+):([\d.]+): (open|drawn|change|first look|preview)$', re.M)


def run_dialog(path):
    """Inside of GIMP."""
    import test_gimp_batch as batch

    image = batch.load(path)
    try:
        batch.denoise(image, image.get_layers()[0], run_mode=batch.Gimp.RunMode.INTERACTIVE, noise_level=0.0)
    except batch.Refused:
        image.delete()


def run_batch(folder):
    """Inside of GIMP."""
    import test_gimp_batch as batch

    image = batch.load(f'{folder}/photo.png')
    seconds = []
    for level in 10.0, 0.0:                         # 0: estimated
        start = time.monotonic()
        batch.denoise(image, image.get_layers()[-1], model='fast', noise_level=level)
        seconds.append(time.monotonic() - start)
    pathlib.Path(folder, 'seconds.json').write_text(json.dumps(seconds))
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


class Benchmark(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        temporary = tempfile.TemporaryDirectory()
        cls.addClassCleanup(temporary.cleanup)
        cls.folder = pathlib.Path(temporary.name)
        tile = np.asarray(Image.open(SAMPLE).convert('RGB'))
        photo = np.tile(tile, (SIZE[1] // tile.shape[0] + 1, SIZE[0] // tile.shape[1] + 1, 1))[:SIZE[1], :SIZE[0]]
        noise = np.random.default_rng(0).normal(0, 10, photo.shape)
        Image.fromarray(np.clip(photo + noise, 0, 255).astype('uint8')).save(cls.folder / 'photo.png', compress_level=1)

    def open_dialog(self):
        log = self.folder / 'log'
        with open(log, 'w') as output:
            process = gimp.start(os.environ | {'G_MESSAGES_DEBUG': 'grainwise'},
                                 gimp.call('benchmark_gimp', 'run_dialog', str(self.folder / 'photo.png')), output=output)
        try:
            messages = Messages(log)
            opened = messages.wait_for('open', 0)
            opening = [messages.wait_for(word, 0) - opened for word in ('drawn', 'first look', 'preview')]
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
        runs = np.array([self.open_dialog() for _ in range(1 + ROUNDS)])
        first, again, moved = runs[0, :3], runs[1:, :3].min(0), runs[:, 3:].min(0)
        print('\n| 24 MP, model best | first pixels, s | first denoised pixels, s | preview, s |\n|---|---|---|---|')
        print('| first opening in a profile | {:.2f} | {:.2f} | {:.2f} |'.format(*first))
        print('| opened again | {:.2f} | {:.2f} | {:.2f} |'.format(*again))
        print('| noise level changed | | {:.2f} | {:.2f} |'.format(*moved))

    def network(self):
        weights = pathlib.Path(os.environ['GRAINWISE_MODELS'], 'fast.safetensors')
        run = subprocess.run([os.environ['GRAINWISE_BENCHMARK'], 'network', weights, *map(str, SIZE), str(os.cpu_count())],
                             check=True, capture_output=True, text=True)
        return json.loads(run.stdout)['seconds']

    def test_batch(self):
        network, runs = [], []
        for _ in range(ROUNDS):
            network.append(self.network())
            status, output = gimp.run(os.environ, gimp.call('benchmark_gimp', 'run_batch', str(self.folder)))
            self.assertEqual(status, 0, output)
            runs.append(json.loads((self.folder / 'seconds.json').read_text()))
        network, (told, estimated) = min(network), np.min(runs, axis=0)
        print('\n| 24 MP, model fast, in batch | s | beside the network, s |\n|---|---|---|')
        for name, seconds in ('noise told', told), ('noise estimated', estimated):
            print(f'| {name} | {seconds:.1f} | {seconds - network:.1f} |')
