"""The C program against PyTorch: the same model on the same photos.

    GRAINWISE=PROGRAM GRAINWISE_MODELS=FOLDER python3 test_pytorch.py

SPDX-License-Identifier: GPL-3.0-or-later
"""
import itertools
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

try:
    import numpy as np
    import tifffile
    import torch                                    # noqa: F401; reference.py needs it
except ImportError as missing:
    print(missing)
    sys.exit(77)                                    # meson: skipped

PROGRAM = os.path.abspath(os.environ['GRAINWISE'])
WEIGHTS = pathlib.Path(os.environ['GRAINWISE_MODELS']).resolve()
sys.path.insert(0, str(WEIGHTS))
import tensorfile                                   # noqa: E402

TOLERANCE = 1e-4                                    # of white
SIZES = (1, 1), (7, 5), (333, 517)                  # width, height
CHANNELS = 3, 1
LEVELS = 5, 25
MODELS = 'best', 'fast'


def by_pytorch(model, inputs, folder):
    source, target = folder / 'in.safetensors', folder / 'out.safetensors'
    tensorfile.write(source, inputs, {})
    subprocess.run([sys.executable, WEIGHTS / 'reference.py', WEIGHTS / f'{model}.safetensors', source, target], check=True)
    return tensorfile.read(target)[0]


def by_program(model, photo, level, folder):
    """-> mean and standard deviation before what the self-check adds, (H,W,channels)"""
    files = [folder / name for name in ('in.tif', 'out.tif', 'sd.tif')]
    tifffile.imwrite(files[0], photo.squeeze(2) if photo.shape[2] == 1 else photo,
                     photometric='rgb' if photo.shape[2] == 3 else 'minisblack')
    report = subprocess.run([PROGRAM, 'denoise', '--json', files[0], files[1], '--noise', str(level),
                             '--uncertainty', files[2], '--model', model], check=True, capture_output=True)
    mean, sd = (tifffile.imread(file).reshape(photo.shape) for file in files[1:])
    return mean, sd / max(json.loads(report.stdout)['self_check']['error_ratio'], 1) ** 0.5


class Test(unittest.TestCase):
    def test_same_posterior(self):
        random = np.random.default_rng(1)
        photos, inputs = {}, {}
        for (width, height), channels, level in itertools.product(SIZES, CHANNELS, LEVELS):
            name = f'{width}x{height}x{channels} at {level} levels'
            photos[name] = random.random((height, width, channels), 'f4'), level
        with tempfile.TemporaryDirectory() as path:
            folder = pathlib.Path(path)
            for name, (photo, level) in photos.items():
                inputs[name + '.y'] = photo
                inputs[name + '.level'] = np.full(photo.shape, level / 255, 'f4')
            for model in MODELS:
                self.compare(model, photos, inputs, folder)

    def compare(self, model, photos, inputs, folder):
        reference = by_pytorch(model, inputs, folder)
        for name, (photo, level) in photos.items():
            with self.subTest(f'{model}: {name}'):
                mean, sd = by_program(model, photo, level, folder)
                covariance = reference[name + '.covariance']
                variance = covariance[:, :, [0, 3, 5]] if photo.shape[2] == 3 else covariance
                off_mean = np.abs(mean - reference[name + '.mean']).max()
                off_sd = np.abs(sd - np.sqrt(variance)).max()
                print(f'{model}, {name}: largest difference {off_mean:.1e} in the mean, {off_sd:.1e} in the sd',
                      flush=True)
                self.assertLessEqual(off_mean, TOLERANCE)
                self.assertLessEqual(off_sd, TOLERANCE)


if __name__ == '__main__':
    unittest.main()
