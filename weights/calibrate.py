"""Gives finished weights a covariance head for white noise, or trains the one they have: all else stays as it is to the
last bit.

    calibrate.py WEIGHTS.safetensors PHOTOS... --out OUT.safetensors --version N [--steps 8000]

While everything is trained together, the head gets that share of the gradient which leaves the mean in peace, follows
features that still change, and has to allow for all that is uncertain about cameras' noise. Here another one has the
features to itself, and white noise of train.py and nothing else. At last one number scales the covariance.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import argparse

import torch

import model
import noise
import residual
import tensorfile
from photos import Photos, with_grain
from train import WARM_UP, white_losses

HEAD = 'w1', 'w2', 'w3'
BATCH, CROP = 8, 160                # large crops: near their edges there is less to look at, and the error is larger
BETA = 1 / 3                        # of beta-NLL; 0 lets smooth places rule, which are most, train.py's neglects them
FALL = 0.5                          # share of the steps in which the rate falls to zero
BEYOND = 4 / 3                      # levels reach this much farther than train.py's: what is learned least is the highest
REPORT = 200                        # steps


@torch.no_grad()
def scale(net, photos, generator, batches):
    """Scales the covariance where the noise is white by one number, which makes ZMS 1 (so, the likelihood of the errors
    greatest) for noise that is the same everywhere. Half of what the head has learned from is noise that differs
    between places or channels, which is harder. -> that number"""
    total = 0
    for _ in range(batches):
        x = with_grain(photos.varied_crops(BATCH, CROP, generator), generator)
        level = noise.levels(x, generator).mean((1, 2, 3), keepdim=True).expand_as(x)
        total += white_losses(net, x, level)[2]
    factor = total / batches
    diagonal = 3 * net.shuffle ** 2                 # of the Cholesky factor, as logarithms of its square
    net.w3.bias[:diagonal] += factor.log()
    for p in net.w3.parameters():
        p[diagonal:] *= factor.sqrt()
    return factor.item()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('weights')
    parser.add_argument('photos', nargs='+', help='as for train.py')
    parser.add_argument('--out', required=True)
    parser.add_argument('--version', required=True)
    parser.add_argument('--steps', type=int, default=8000)
    parser.add_argument('--rate', type=float, default=3e-3)
    parser.add_argument('--scale', type=int, default=1000, help='batches that the scale is taken from; 0: not scaled')
    parser.add_argument('--seed', type=int, default=0, help='another one for other crops and noise, to train on')
    arguments = parser.parse_args()

    torch.manual_seed(arguments.seed)   # of a new head, and of noise
    torch.set_flush_denormal(True)
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    trained = model.load(arguments.weights)
    net = model.ScoreNet(trained.widths, trained.blocks, trained.shuffle, trained.noise_planes, trained.judges_level, True)
    net.load_state_dict(trained.state_dict(), strict=False)
    if not trained.white_head:
        net.w1.load_state_dict(net.h1.state_dict())
    net = net.to(device).requires_grad_(False)
    if device == 'cpu':
        residual.use(net)
    head = {name: p.requires_grad_(True) for name, p in net.named_parameters() if name.split('.')[0] in HEAD}
    optimiser = torch.optim.Adam(head.values(), betas=(0.9, 0.99))
    photos, generator = Photos(arguments.photos, CROP, device), torch.Generator(device).manual_seed(arguments.seed)
    recent = []
    for step in range(arguments.steps):
        optimiser.param_groups[0]['lr'] = arguments.rate * min(
            1, (step + 1) / WARM_UP, (1 - step / arguments.steps) / FALL)
        x = with_grain(photos.varied_crops(BATCH, CROP, generator), generator)
        level = (BEYOND * noise.levels(x, generator)).clamp(max=noise.HIGHEST)
        _, loss, zms = white_losses(net, x, level, beta=BETA)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(head.values(), 1.0)
        optimiser.step()
        optimiser.zero_grad()
        recent.append(torch.stack([loss.detach(), zms]))
        if (step + 1) % REPORT == 0:
            print('step {}: loss {:.4f}, ZMS {:.3f}'.format(step + 1, *torch.stack(recent).mean(0)), flush=True)
            recent.clear()

    done = f'covariance head for white noise {arguments.steps} steps by calibrate.py'
    if arguments.scale:
        done += f', scaled by {scale(net, photos, generator, arguments.scale):.3f}'
    print(done)
    tensors, metadata = tensorfile.read(arguments.weights)
    tensors |= {name: p.detach().cpu().numpy().astype('<f2') for name, p in head.items()}
    tensorfile.write(arguments.out, tensors, metadata | {
        'version': arguments.version, 'training': f'{metadata["training"]}; {done}'})


if __name__ == '__main__':
    main()
