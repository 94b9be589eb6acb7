"""What the network says, by PyTorch, for comparison with the C program.

    reference.py MODEL.safetensors IN.safetensors OUT.safetensors

For every pair NAME.y, NAME.level (H,W,3 or H,W,1; float32) in IN, writes NAME.mean (same shape as y) and
NAME.covariance to OUT: (H,W,6) as rr, rg, rb, gg, gb, bb, or (H,W,1) for a grey photo.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import sys

import numpy as np
import torch

import model
import tensorfile


@torch.inference_mode()
def denoise(net, y, level):
    """y, level: (H,W,3) or (H,W,1) float32 arrays, encoded values with white = 1. -> mean and covariance, float32."""
    height, width, channels = y.shape
    y, level = (torch.tensor(a).permute(2, 0, 1)[None] for a in (y, level))
    if channels == 1:
        y, level = model.grey_inputs(y, level)
    y, level = model.pad(y, net.multiple), model.pad(level, net.multiple)
    mean, g = net(y, level)
    if channels == 1:
        mean, covariance = mean.mean(1, keepdim=True), model.grey_variance(g, level)
    else:
        covariance = model.covariance(g, level)
    return [np.ascontiguousarray(t[0, :, :height, :width].permute(1, 2, 0).numpy()) for t in (mean, covariance)]


def denoise_all(net, inputs):
    """{NAME.y, NAME.level: array} -> {NAME.mean, NAME.covariance: array}"""
    outputs = {}
    for name in [key[:-2] for key in inputs if key.endswith('.y')]:
        outputs[name + '.mean'], outputs[name + '.covariance'] = \
            denoise(net, inputs[name + '.y'], inputs[name + '.level'])
    return outputs


if __name__ == '__main__':
    network, source, target = sys.argv[1:]
    tensorfile.write(target, denoise_all(model.load(network), tensorfile.read(source)[0]), {})
