"""What training does itself on a CPU, against PyTorch: residual blocks and what heads read, with gradients, and Muon's
orthogonal matrices. Channels that are never active, brought back to life. And whether its scripts make a model, one
after the other.

    GRAINWISE_MODELS=FOLDER python3 test_training.py

SPDX-License-Identifier: GPL-3.0-or-later
"""
import os
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

try:
    import numpy as np
    import torch
    from PIL import Image
except ImportError as missing:
    print(missing)
    sys.exit(77)                                    # meson: skipped

SCRIPTS = os.path.abspath(os.environ['GRAINWISE_MODELS'])
sys.path.insert(0, SCRIPTS)
import calibrate                                    # noqa: E402
import camera                                       # noqa: E402
import model                                        # noqa: E402
import muon                                         # noqa: E402
import noise                                        # noqa: E402
import residual                                     # noqa: E402
import revive                                       # noqa: E402
import tensorfile                                   # noqa: E402
import train                                        # noqa: E402

TOLERANCE = 1e-5                                    # relative, root mean square
SAVING_EVERY_STEP = 'import train; train.CHECKPOINT_SECONDS = 0; train.main()'
SHAPES = (2, 64, 16, 20), (3, 64, 7, 9), (1, 96, 5, 3), (2, 32, 1, 1), (9, 128, 8, 8), (1, 256, 64, 4)


def relative(found, expected):
    return ((found - expected).norm() / expected.norm()).item()


class Test(unittest.TestCase):
    def test_residual_blocks(self):
        torch.manual_seed(0)
        for threads in 1, 2:
            torch.set_num_threads(threads)
            for batch, channels, height, width in SHAPES:
                block = model.ResidualBlock(channels).double()
                x = torch.randn(batch, channels, height, width, dtype=torch.double, requires_grad=True)
                y = block(x)
                gradient = torch.randn_like(y)
                expected = y, *torch.autograd.grad(y, (x, *block.parameters()), gradient)

                residual.use(block.float())
                x = x.detach().float().requires_grad_()
                y = block(x)
                found = y, *torch.autograd.grad(y, (x, *block.parameters()), gradient.float())
                for name, a, b in zip(('result', 'of the input', 'of the first kernel', 'of the second'), found, expected):
                    with self.subTest(f'{threads} threads, {batch}x{channels}x{height}x{width}, {name}'):
                        self.assertLess(relative(a, b), TOLERANCE)

    def test_what_heads_read(self):
        torch.manual_seed(0)
        for batch, channels, height, width in SHAPES:
            features = torch.randn(batch, channels, height, width, dtype=torch.double, requires_grad=True)
            level = torch.rand(batch, 1, height, width, dtype=torch.double) + 0.01
            y = model.ScoreNet.relative(features, level, level.log())
            gradient = torch.randn_like(y)
            expected = y, *torch.autograd.grad(y, features, gradient)

            features = features.detach().float().requires_grad_()
            y = residual.Relative.apply(features, level.float(), level.log().float())
            found = y, *torch.autograd.grad(y, features, gradient.float())
            for name, a, b in zip(('result', 'gradient'), found, expected):
                with self.subTest(f'{batch}x{channels}x{height}x{width}, {name}'):
                    self.assertLess(relative(a, b), TOLERANCE)

    def test_orthogonal(self):
        torch.manual_seed(0)
        for shape in (64, 576), (256, 64), (32, 32):
            x = torch.randn(shape)
            singular = torch.linalg.svdvals(muon.orthogonal(x))
            nearest = torch.linalg.svd(x, full_matrices=False)
            self.assertGreater(singular.min(), 0.6)
            self.assertLess(singular.max(), 1.25)
            # the same directions: what is left in between is symmetric
            between = nearest.U.mT @ muon.orthogonal(x) @ nearest.Vh.mT
            self.assertLess((between - between.diagonal().diag()).abs().max(), 1e-3)

    def test_noise_of_grey_photos(self):
        """It is told as white when it is: like that of a colour photo of the level that is told."""
        torch.manual_seed(0)
        n = 0.1 * torch.randn(4, 1, 128, 128)
        grey, told = model.grey_inputs(n, torch.full_like(n, 0.1))
        torch.testing.assert_close(noise.grey_grain(noise.grain_of(grey, told / 3 ** 0.5)), torch.zeros(4, noise.GRAIN),
                                   atol=0.05, rtol=0)
        coarse = torch.nn.functional.avg_pool2d(n, 2, 1, padding=1)[..., 1:, 1:]
        grain = noise.grey_grain(noise.grain_of(coarse.expand(-1, 3, -1, -1), coarse.std().expand(4, 3, 128, 128)))
        torch.testing.assert_close(grain[:, 1], torch.full((4,), 0.5), atol=0.05, rtol=0)
        self.assertFalse(grain[:, noise.OCTAVES:].any())

    def test_shadows_are_raised(self):
        """In some of the photos, in noisy and clean ones alike, and what is noisy stays in whole levels."""
        x = torch.arange(256.).expand(400, 3, 1, 256) / 255
        target, y = camera.raise_shadows(x, x, torch.Generator().manual_seed(0))
        raised = (target > x).flatten(1).any(1)
        self.assertTrue(60 < raised.sum() < 140)
        self.assertTrue((target >= x).all() and (target.diff() > 0).all() and target.max() == 1)
        self.assertTrue(torch.equal(target[~raised], x[~raised]))
        self.assertLess((255 * y - (255 * target).round()).abs().max(), 1e-4)

    def test_grey_crops(self):
        """One crop in so many is grey, with white noise and with cameras', and its error that of its channels' mean."""
        torch.manual_seed(0)
        net = model.ScoreNet((32, 64), (1, 1, 1), noise_planes=3 + noise.GRAIN, white_head=True)
        inputs = []
        net.register_forward_pre_hook(lambda _, arguments: inputs.append(arguments))
        x = torch.nn.functional.interpolate(torch.rand(16, 3, 4, 4), (64, 64), mode='bicubic').clamp(0, 1)
        for name, losses in (('white', lambda: train.white_losses(net, x, torch.full_like(x, 0.05))),
                             ('camera', lambda: train.camera_losses(net, x, 0.2, torch.Generator().manual_seed(0)))):
            with self.subTest(name):
                found = torch.stack(losses())
                self.assertTrue(found.isfinite().all())
                y, told = inputs.pop()
                grey = [bool((crop == crop[:1]).all()) for crop in y]
                self.assertEqual(grey, 2 * [True] + 14 * [False])
                self.assertTrue((told[:2, :3] == told[:2, :1]).all())
                if name == 'camera':
                    self.assertFalse(told[:2, 3 + noise.OCTAVES:].any())
                    self.assertTrue(told[:, 3:3 + noise.OCTAVES].flatten(2).any(2).all())

        x, g, level = train.with_grey(x), torch.zeros(16, 6, 64, 64), torch.full_like(x, 0.05)
        error = 0.1 * torch.tensor([1., -1, 0])[:, None, None]
        for name, crop, counts in ('grey', 1, False), ('colour', 2, True):
            with self.subTest(f'opposite errors, {name}'):
                mean = x.clone()
                mean[crop] += error
                self.assertEqual(train.losses(x, mean, g, level, train.BETA)[0].item() > 1e-6, counts)

    def test_revive(self):
        torch.manual_seed(0)
        net = model.ScoreNet((32, 64), (1, 1, 1))
        block = net.mid[0]
        block.a.weight.data[:3] = 0                 # as a channel is whose inputs never let it through
        y, level = 0.5 + 0.1 * torch.randn(4, 3, 32, 32), torch.full((4, 3, 32, 32), 0.1)
        before, found = net(y, level), revive.look(net, y, level)
        active, _ = found[block]
        dead = (active < revive.DORMANT).nonzero().flatten().tolist()   # some others, too: all features follow brightness
        self.assertTrue({0, 1, 2} <= set(dead))
        self.assertEqual(revive.dormant(revive.both({}, found)), 0)
        busy = {b: (torch.ones_like(a), common) for b, (a, common) in found.items()}
        self.assertEqual(revive.dormant(revive.both(busy, found)), 0)
        self.assertEqual(revive.dormant(revive.both(found, found)), revive.dormant(found))
        momentum = {p: torch.ones_like(p) for p in net.parameters()}
        revive.revive(found, [momentum])
        for old, new in zip(before, net(y, level)):
            torch.testing.assert_close(new, old, atol=1e-3, rtol=0)
        for layer, kernels in ('a', momentum[block.a.weight]), ('b', momentum[block.b.weight].transpose(0, 1)):
            with self.subTest(f'momentum of {layer}'):
                self.assertEqual([c for c in range(64) if not kernels[c].any()], dead)
                self.assertEqual(kernels.sum(), (64 - len(dead)) * 64 * 9)
        found = revive.look(net, y, level)
        self.assertEqual(revive.dormant(found), 0)
        for c in dead:                              # neither nowhere nor everywhere, bright as the photo is
            self.assertTrue(0.1 < found[block][0][c] < 0.9)

    def test_scale(self):
        """All of a pixel's covariance is scaled by one number, after which the errors are as large as predicted."""
        class Noise:
            @staticmethod
            def varied_crops(count, side, generator):
                return torch.rand(count, 3, side // 4, side // 4, generator=generator)

        def scale(net):
            torch.manual_seed(0)
            return calibrate.scale(net, Noise, torch.Generator().manual_seed(0), 2)

        torch.manual_seed(0)
        net = model.ScoreNet((32, 32), (1, 1, 1), noise_planes=3 + noise.GRAIN, white_head=True)
        y, level = torch.rand(2, 3, 32, 32), torch.full((2, 3, 32, 32), 0.1)
        with torch.no_grad():
            before = model.covariance(net(y, level)[1], level)
            factor = scale(net)
            torch.testing.assert_close(model.covariance(net(y, level)[1], level), factor * before)
            self.assertGreater(abs(factor - 1), 0.1)
            self.assertAlmostEqual(scale(net), 1, places=4)

    def test_scripts(self):
        def run(script, *arguments):
            return subprocess.run([sys.executable, script, *map(str, arguments)], cwd=SCRIPTS, check=True,
                                  stdout=subprocess.PIPE, text=True).stdout

        def changed(before, after):
            """The layers in which two weights files differ."""
            (old, _), (new, _) = map(tensorfile.read, (before, after))
            return {name.split('.')[0] for name in old | new
                    if name not in old or name not in new or not np.array_equal(old[name], new[name])}

        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            photos, out = folder / 'photos', folder / 'run'
            photos.mkdir()
            rng = np.random.default_rng(0)
            for k in range(2):
                coarse = Image.fromarray(rng.integers(256, size=(60, 50 + k, 3), dtype=np.uint8))
                coarse.resize((500, 600), Image.Resampling.BICUBIC).save(photos / f'{k}.png')
            training = [*map(str, (photos, '--validation', photos, '--out', out, '--batch', 8, '--crop', 32,
                                   '--widths', 32, 32, '--blocks', 1, 1, 1, '--camera', '--minutes'))]
            with subprocess.Popen([sys.executable, '-c', SAVING_EVERY_STEP, *training, '60'], cwd=SCRIPTS,
                                  stdout=subprocess.DEVNULL) as first:
                while not (out / 'stable.pt').exists():
                    self.assertIsNone(first.poll())
                    time.sleep(0.1)
                first.kill()
            interrupted = torch.load(out / 'checkpoint.pt')
            said = run('train.py', *training, interrupted['elapsed'] / 60 + 0.02)
            self.assertIn(f'from step {interrupted["step"]},', said)
            self.assertGreater(torch.load(out / 'checkpoint.pt')['step'], interrupted['step'])

            files = [folder / f'{n}.safetensors' for n in range(3)]
            run('export.py', out / 'checkpoint.pt', files[0], '--version', 1, '--training', 'of a test', '--photos', photos)
            run('calibrate.py', files[0], photos, '--out', files[1], '--version', 2, '--steps', 2, '--scale', 2)
            self.assertEqual(changed(files[0], files[1]), {'w1', 'w2', 'w3'})
            run('judge.py', files[1], photos, '--out', files[2], '--version', 3, '--minutes', 0.02)
            self.assertEqual(changed(files[1], files[2]), {'l1', 'l2'})
            self.assertTrue(model.load(files[2]).judges_level)


if __name__ == '__main__':
    unittest.main()
