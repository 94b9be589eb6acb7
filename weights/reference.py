"""What the network says, by PyTorch, for comparison with the C program.

    reference.py MODEL.safetensors IN.safetensors OUT.safetensors

For every NAME.y (H,W,3 or H,W,1; float32) in IN, with NAME.level (same shape) or NAME.curve (sd at the knots of
brightness, (3,KNOTS)) and, where there is one, NAME.grain (6), writes NAME.mean (same shape as y) and NAME.covariance
to OUT: (H,W,6) as rr, rg, rb, gg, gb, bb, or (H,W,1) for a grey photo; and by a model that judges the level that it is
told, NAME.judgement, the logarithm of the true one over it.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import sys

import numpy as np
import torch

import model
import noise
import tensorfile

WHITE = np.zeros(noise.GRAIN)


def inputs_of(net, y, level, grain):
    """y, level: (H,W,3) or (H,W,1) float32 arrays, encoded values with white = 1; grain as in noise.grain_of.
    -> y, level and what the network is told of the noise, as it wants them."""
    y, level = (torch.tensor(a).permute(2, 0, 1)[None] for a in (y, level))
    if y.shape[1] == 1:
        y, level = model.grey_inputs(y, level)
    y, level = model.pad(y, net.multiple), model.pad(level, net.multiple)
    return y, level, noise.planes(level, torch.tensor(grain).float()[None, :net.noise_planes - 3])


@torch.inference_mode()
def denoise(net, y, level, grain=WHITE):
    """Arguments of inputs_of -> mean and covariance, float32."""
    height, width, channels = y.shape
    y, level, told = inputs_of(net, y, level, grain)
    mean, g = net(y, told)
    if channels == 1:
        mean, covariance = mean.mean(1, keepdim=True), model.grey_variance(g, level)
    else:
        covariance = model.covariance(g, level)
    return [np.ascontiguousarray(t[0, :, :height, :width].permute(1, 2, 0).numpy()) for t in (mean, covariance)]


@torch.inference_mode()
def judge(net, y, level, grain=WHITE):
    """The same -> one number."""
    height, width = (-(-n // net.shuffle) for n in y.shape[:2])
    y, _, told = inputs_of(net, y, level, grain)
    return model.poll(*(votes[:, :height, :width] for votes in net.votes(y, told))).numpy()


def denoise_all(net, inputs):
    """{NAME.y, NAME.level ...: array} -> {NAME.mean, NAME.covariance ...: array}"""
    outputs = {}
    for name in [key[:-2] for key in inputs if key.endswith('.y')]:
        if name + '.curve' in inputs:
            curve = torch.tensor(inputs[name + '.curve'])[None] ** 2
            y = torch.tensor(inputs[name + '.y']).permute(2, 0, 1)[None]
            inputs[name + '.level'] = noise.level_at(curve, y)[0].permute(1, 2, 0).numpy()
        photo = inputs[name + '.y'], inputs[name + '.level'], inputs.get(name + '.grain', WHITE)
        outputs[name + '.mean'], outputs[name + '.covariance'] = denoise(net, *photo)
        if net.judges_level:
            outputs[name + '.judgement'] = judge(net, *photo)
    return outputs


if __name__ == '__main__':
    network, source, target = sys.argv[1:]
    tensorfile.write(target, denoise_all(model.load(network), tensorfile.read(source)[0]), {})
