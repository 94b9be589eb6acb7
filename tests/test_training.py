"""What training does itself on a CPU, against PyTorch: residual blocks and their gradients, and Muon's orthogonal matrices.

    GRAINWISE_MODELS=FOLDER python3 test_training.py

SPDX-License-Identifier: GPL-3.0-or-later
"""
import os
import sys
import unittest

try:
    import numpy                                    # noqa: F401; model.py needs it
    import torch
except ImportError as missing:
    print(missing)
    sys.exit(77)                                    # meson: skipped

sys.path.insert(0, os.path.abspath(os.environ['GRAINWISE_MODELS']))
import model                                        # noqa: E402
import muon                                         # noqa: E402
import residual                                     # noqa: E402

TOLERANCE = 1e-5                                    # relative, root mean square
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


if __name__ == '__main__':
    unittest.main()
