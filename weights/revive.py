"""Brings hidden channels of residual blocks back to life that are never active.

A rectified channel whose inputs all have the same sign on every photo gives nothing and gets no gradient, so nothing
but this brings it back; in a network without biases, whose features follow the photo's brightness, whole blocks may go
like that. As Sokar et al. 2023 do ("The dormant neuron phenomenon in deep reinforcement learning"), such a channel gets
new kernels in and zeros out, which leaves the network's answers what they are.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import torch

import model

DORMANT = 0.001                     # share of the places where a channel is active, below which it is dormant


@torch.no_grad()
def look(net, y, level):
    """-> for every residual block of `net`, given noisy photos (B,3,H,W) and their noise: in how many of the places
    each hidden channel is active, and the direction in which its input is largest, (channels,) both."""
    found, hooks = {}, []

    def keep(block):
        def hook(_, inputs, output):
            x = inputs[0].float().transpose(0, 1).flatten(1)
            active = (block.a(inputs[0]) > 0).float().mean((0, 2, 3))
            found[block] = active, torch.linalg.eigh(x @ x.T).eigenvectors[:, -1]
        return hook

    for block in net.modules():
        if isinstance(block, model.ResidualBlock):
            hooks.append(block.register_forward_hook(keep(block)))
    net.features(y, level)
    for hook in hooks:
        hook.remove()
    return found


def dormant(found):
    """How many channels in all."""
    return sum(int((active < DORMANT).sum()) for active, _ in found.values())


def both(before, found):
    """What two looks say together; nothing of a block that there was no look at before. One look may have met nothing
    that a rare channel is for: 52 at once were taken for dormant, which cost 0.25 dB at 5 levels of noise."""
    return {block: (torch.maximum(active, before[block][0]), common)
            for block, (active, common) in found.items() if block in before}


@torch.no_grad()
def revive(found, copies=()):
    """Gives dormant channels new kernels, which see nothing of the direction that all inputs have in common: along it
    they would be active everywhere or nowhere. `copies`: dictionaries of tensors by parameter, such as an optimiser's
    momentum, that are to be zero there."""
    for block, (active, common) in found.items():
        new = active < DORMANT
        fresh = torch.empty_like(block.a.weight)
        torch.nn.init.kaiming_normal_(fresh)
        share = (fresh.sum((2, 3)) @ common)[:, None, None, None] * common[:, None, None] / fresh[0, 0].numel()
        block.a.weight[new] = (fresh - share)[new]
        block.b.weight[:, new] = 0
        for copy in copies:
            copy[block.a.weight][new] = 0
            copy[block.b.weight][:, new] = 0
