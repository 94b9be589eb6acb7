"""Parts of model.py on a CPU, with their gradients, in C (residual.c): residual blocks, and what the heads read.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import ctypes
import subprocess
import tempfile
from functools import lru_cache
from pathlib import Path

import torch

import model

HERE = Path(__file__).parent
CORE = HERE.parent / 'core'
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3     # of malloc.h


@lru_cache(None)
def library():
    with tempfile.TemporaryDirectory() as folder:
        flags = subprocess.run(['pkg-config', '--cflags', '--libs', 'glib-2.0', 'openblas'], check=True,
                               capture_output=True, text=True).stdout.split()
        file = f'{folder}/residual.so'
        subprocess.run(['cc', '-O3', '-march=native', '-fopenmp', '-shared', '-fPIC', '-DGW_KERNELS=gw_training',
                        f'-I{CORE}', HERE / 'residual.c', CORE / 'kernels.c', *flags, '-o', file], check=True)
        functions = ctypes.CDLL(file)
    p, i = ctypes.c_void_p, ctypes.c_int
    functions.gw_convolve.argtypes = [p, i, i, i, i, i, p, i, p, i, p, p]
    functions.gw_convolve_gradient.argtypes = [p, p, i, i, i, i, i, p, p]
    functions.gw_relative.argtypes = functions.gw_relative_gradient.argtypes = [p, p, p, i, i, p]
    for name in 'gw_convolve_scratch', 'gw_convolve_gradient_scratch':
        getattr(functions, name).argtypes = [i, i]
        getattr(functions, name).restype = ctypes.c_size_t
    return functions


_scratch = torch.empty(0)


def scratch(floats):
    """Memory for the time of a call, kept for the next one."""
    global _scratch
    if _scratch.numel() < floats:
        _scratch = torch.empty(floats)
    return _scratch.data_ptr()


def convolve(x, kernels, backward=False, addend=None, relu=False):
    """x: (B,C,H,W); kernels: (out,in,3,3), channels_last both. With `backward` x is the gradient of the results."""
    batch, channels, height, width = x.shape
    out = kernels.shape[1 if backward else 0]
    result = torch.empty((batch, out, height, width), memory_format=torch.channels_last)
    library().gw_convolve(x.data_ptr(), batch, height, width, channels, out, kernels.data_ptr(), backward,
                          None if addend is None else addend.data_ptr(), relu, result.data_ptr(),
                          scratch(library().gw_convolve_scratch(channels, out)))
    return result


def convolve_gradient(x, gradient):
    """Of the kernels, from the gradient of the results."""
    batch, channels, height, width = x.shape
    out = gradient.shape[1]
    result = torch.empty((out, channels, 3, 3), memory_format=torch.channels_last)
    library().gw_convolve_gradient(x.data_ptr(), gradient.data_ptr(), batch, height, width, channels, out,
                                   result.data_ptr(), scratch(library().gw_convolve_gradient_scratch(channels, out)))
    return result


class Residual(torch.autograd.Function):
    """x + b * relu (a * x)"""

    @staticmethod
    def forward(context, x, a, b):
        x, a, b = (t.contiguous(memory_format=torch.channels_last) for t in (x, a, b))
        hidden = convolve(x, a, relu=True)
        context.save_for_backward(x, a, b, hidden)
        return convolve(hidden, b, addend=x)

    @staticmethod
    def backward(context, gradient):
        x, a, b, hidden = context.saved_tensors
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        inner = torch.ops.aten.threshold_backward(convolve(gradient, b, backward=True), hidden, 0)
        return (convolve(inner, a, backward=True, addend=gradient),
                convolve_gradient(x, inner), convolve_gradient(hidden, gradient))


class Relative(torch.autograd.Function):
    """model.ScoreNet.relative"""

    @staticmethod
    def forward(context, features, level, log_level):
        features, level, log_level = (t.contiguous(memory_format=torch.channels_last) for t in (features, level, log_level))
        batch, channels, height, width = features.shape
        result = torch.empty((batch, channels + 1, height, width), memory_format=torch.channels_last)
        library().gw_relative(features.data_ptr(), level.data_ptr(), log_level.data_ptr(), level.numel(), channels,
                              result.data_ptr())
        context.save_for_backward(features, level)
        return result

    @staticmethod
    def backward(context, gradient):
        features, level = context.saved_tensors
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        result = torch.empty_like(features)
        library().gw_relative_gradient(features.data_ptr(), level.data_ptr(), gradient.data_ptr(), level.numel(),
                                       features.shape[1], result.data_ptr())
        return result, None, None


def use(net):
    """Has these parts of a network on the CPU computed so, and its images laid out for that."""
    net.to(memory_format=torch.channels_last)
    library().mallopt(M_MMAP_THRESHOLD, 2 ** 30)        # memory that is given back comes anew with every step, cleared:
    library().mallopt(M_TRIM_THRESHOLD, 2 ** 31 - 1)    # a tenth of the time
    for part in net.modules():
        if isinstance(part, model.ResidualBlock):
            part.forward = lambda x, block=part: Residual.apply(x, block.a.weight, block.b.weight)
        elif isinstance(part, model.ScoreNet):
            part.relative = Relative.apply
