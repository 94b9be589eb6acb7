"""Times the engine beside its peers, alternating with them in one run, and prints tables.

    benchmark.py PROGRAM WEIGHTS [--megapixels 1 6] [--rounds 2]

PROGRAM is benchmark-engine, WEIGHTS the folder of the models. Peers: PyTorch with the same weights (channels_last,
float32, and bfloat16 where the processor has instructions for it), and GIMP's own denoising filters. Of several rounds
the fastest counts, for everyone. "Peak" is of fused multiply-adds, measured in the same run: for layers at the fastest
moment, as they are, for networks, which take seconds, over a second; convolutions are counted as if they were done
directly, so that Winograd's can pass 100 %. A peer for which there is not enough memory has no figure.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import argparse
import json
import math
import os
import platform
import resource
import subprocess
import sys
import time

MODELS = 'fast', 'best'
LAYERS = (32, 32), (64, 64), (128, 128), (192, 192), (256, 256)


def engine(program, *arguments):
    """One measurement by the C program, as a dictionary."""
    return json.loads(subprocess.run([program, *map(str, arguments)], check=True, capture_output=True, text=True).stdout)


def sides(megapixels):
    """Width and height of a photo of 3:2, multiples of 16, so that nobody has to pad."""
    width = round(math.sqrt(megapixels * 1.5e6) / 16) * 16
    return width, round(megapixels * 1e6 / width / 16) * 16


def best(rounds, *functions):
    """The least that each function returned, called in turn."""
    results = [[f() for f in functions] for _ in range(rounds)]
    return [min(column) for column in zip(*results)]


def seconds(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def pytorch(weights, name):
    """-> {precision: function(width, height, threads) -> seconds}, or {} without PyTorch."""
    sys.path.insert(0, weights)
    try:
        import torch
        import model
    except ImportError as error:
        print(f'({error}: PyTorch is left out)\n')
        return {}
    net = model.load(os.path.join(weights, f'{name}.safetensors')).to(memory_format=torch.channels_last)

    def run(width, height, threads, bfloat16):
        torch.set_num_threads(threads)
        try:
            y = torch.rand(1, 3, height, width).to(memory_format=torch.channels_last)
            level = torch.full_like(y, 15 / 255)
            with torch.inference_mode(), torch.autocast('cpu', torch.bfloat16, enabled=bfloat16):
                return seconds(lambda: net(y, level))
        except RuntimeError:    # "can't allocate memory"
            return math.inf

    runs = {'float32': lambda *size: run(*size, False)}
    if torch.cpu._is_avx512_bf16_supported():
        runs['bfloat16'] = lambda *size: run(*size, True)
    return runs


def gegl(width, height):
    """-> {operation: function() -> seconds} of GIMP's filters on a photo of that size, or {} without GEGL's
    bindings."""
    try:
        import gi
        gi.require_version('Gegl', '0.4')
        from gi.repository import Gegl
    except (ImportError, ValueError) as error:
        print(f'({error}: GIMP\'s filters are left out)\n')
        return {}
    Gegl.init(None)
    source = Gegl.Buffer.new("R'G'B' float", 0, 0, width, height)
    noise = Gegl.Node()
    cells = noise.create_child('gegl:cell-noise')
    write = noise.create_child('gegl:write-buffer')
    write.set_property('buffer', source)
    cells.connect_to('output', write, 'input')
    write.process()

    def run(operation):
        graph = Gegl.Node()
        nodes = [graph.create_child(name) for name in ('gegl:buffer-source', operation, 'gegl:write-buffer')]
        nodes[0].set_property('buffer', source)
        nodes[2].set_property('buffer', Gegl.Buffer.new("R'G'B' float", 0, 0, width, height))
        nodes[0].connect_to('output', nodes[1], 'input')
        nodes[1].connect_to('output', nodes[2], 'input')
        return seconds(nodes[2].process)

    return {name: lambda name=name: run(name) for name in ('gegl:denoise-dct', 'gegl:noise-reduction')}


def limit_memory():
    """To what there is: who wants more is told so, instead of being killed."""
    with open('/proc/meminfo') as file:
        available = 1024 * next(int(line.split()[1]) for line in file if line.startswith('MemAvailable'))
    resource.setrlimit(resource.RLIMIT_AS, (available, available))


def processor():
    with open('/proc/cpuinfo') as file:
        names = [line.split(':')[1].strip() for line in file if line.startswith('model name')]
    return f'{names[0]}, {len(names)} processors' if names else platform.processor()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('program')
    parser.add_argument('weights')
    parser.add_argument('--megapixels', type=float, nargs='+', default=[1, 6])
    parser.add_argument('--rounds', type=int, default=2)
    arguments = parser.parse_args()
    program, weights, rounds = arguments.program, arguments.weights, arguments.rounds
    limit_memory()
    print(processor(), flush=True)

    print('\n| 3x3 layer, 1 thread | GFLOP/s | of peak |\n|---|---|---|')
    for inputs, outputs in LAYERS:
        result, peak = [], []
        for _ in range(rounds):
            result.append(engine(program, 'layer', inputs, outputs, 1024, 1))
            peak.append(engine(program, 'peak', 1)['gflops'])
        speed = 2e-9 * result[0]['multiply_adds'] / min(r['seconds'] for r in result)
        print(f'| {inputs} to {outputs} | {speed:.0f} | {100 * speed / max(peak):.0f} % |', flush=True)

    print('\n| model | MP | threads | MP/s | of peak | peak memory, MB | PyTorch, MP/s | times as fast |')
    print('|---|---|---|---|---|---|---|---|')
    for name in MODELS:
        path, peers = os.path.join(weights, f'{name}.safetensors'), pytorch(weights, name)
        for megapixels in arguments.megapixels:
            width, height = sides(megapixels)
            pixels = width * height / 1e6
            for threads in (1, 2):
                results = []

                def ours():
                    results.append(engine(program, 'network', path, width, height, threads))
                    return results[-1]['seconds']

                ours_seconds, peak, *theirs = best(
                    rounds, ours, lambda: -engine(program, 'peak', threads)['sustained_gflops'],
                    *(lambda run=run: run(width, height, threads) for run in peers.values()))
                speed = 2e-3 * results[0]['multiply_adds'] * pixels / ours_seconds
                finished = [(kind, s) for kind, s in zip(peers, theirs) if s < math.inf]
                peers_speed = ', '.join(f'{pixels / s:.3f} ({kind})' for kind, s in finished) or '–'
                ratio = ', '.join(f'{s / ours_seconds:.2f}' for _, s in finished) or '–'
                print(f'| {name} | {pixels:.1f} | {threads} | {pixels / ours_seconds:.3f} | {-100 * speed / peak:.0f} % | '
                      f'{max(r["peak_mb"] for r in results):.0f} | {peers_speed} | {ratio} |', flush=True)

    print('\n| a sample of 1 MP, 2 threads | s | of that passes of the network | peak memory, MB |\n|---|---|---|---|')
    width, height = sides(1)
    for name in MODELS:
        path = os.path.join(weights, f'{name}.safetensors')
        sample, photo = ([engine(program, kind, path, width, height, 2) for _ in range(rounds)]
                         for kind in ('sample', 'network'))
        whole, one = (min(r['seconds'] for r in results) for results in (sample, photo))
        print(f'| {name} | {whole:.1f} | {100 * sample[0]["passes"] * one / whole:.0f} % | {sample[0]["peak_mb"]:.0f} |',
              flush=True)

    for name in MODELS:
        load = min(engine(program, 'load', os.path.join(weights, f'{name}.safetensors'))['seconds'] for _ in range(rounds))
        preview = min(engine(program, 'preview', os.path.join(weights, f'{name}.safetensors'), 512, 2)['seconds'] for _ in range(rounds))
        print(f'\nLoading {name}: {load:.3f} s; a preview of 512x512 pixels, 2 threads: {preview:.2f} s')

    width, height = sides(6)
    filters = gegl(width, height)
    if filters:
        print('\n| filter of GIMP, 6 MP, all threads | s |\n|---|---|')
        for operation, time_taken in zip(filters, best(1, *filters.values())):
            print(f'| {operation} | {time_taken:.1f} |')


if __name__ == '__main__':
    main()
