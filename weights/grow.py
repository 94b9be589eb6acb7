"""A larger network that computes what a smaller one does, to train on from there (Chen, Goodfellow, Shlens 2016).

SPDX-License-Identifier: GPL-3.0-or-later
"""
import model


def grow(net, widths, blocks, noise_planes, white_head=False):
    """A ScoreNet of these widths, blocks and noise planes, nowhere smaller than net's, with net's function: the old
    channels hear nothing of the new ones, which start random; additional blocks add nothing yet, additional inputs are
    not heard. All of that can be learned."""
    large = model.ScoreNet(widths, blocks, net.shuffle, noise_planes, white_head=white_head)
    grown, old = large.state_dict(), net.state_dict()
    for name, tensor in grown.items():
        if name in old:
            shape = old[name].shape
            outputs = 1 if name.startswith('up.') else 0          # transposed convolutions have inputs first
            tensor.narrow(outputs, 0, shape[outputs]).zero_()
            tensor[tuple(map(slice, shape))] = old[name]
        elif name.endswith('b.weight'):
            tensor.zero_()
    return large
