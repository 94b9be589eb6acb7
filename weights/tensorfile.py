"""Reading and writing safetensors files with numpy alone.

The format: header length (8 bytes, little-endian), a JSON header padded with spaces to a multiple of 8 bytes, then the
raw little-endian tensors back to back. Written files depend on nothing but their contents: the same tensors and
metadata give the same bytes.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import json
import struct

import numpy as np

TYPES = {'F32': np.dtype('<f4'), 'F16': np.dtype('<f2')}
NAMES = {dtype: name for name, dtype in TYPES.items()}


def read(path):
    """-> ({name: array}, {metadata key: string})"""
    with open(path, 'rb') as file:
        size, = struct.unpack('<Q', file.read(8))
        header = json.loads(file.read(size))
        data = file.read()
    metadata = header.pop('__metadata__', {})
    tensors = {}
    for name, entry in header.items():
        begin, end = entry['data_offsets']
        tensors[name] = np.frombuffer(data[begin:end], TYPES[entry['dtype']]).reshape(entry['shape'])
    return tensors, metadata


def write(path, tensors, metadata):
    """tensors: {name: float16 or float32 array}; metadata: {key: string}. Names are sorted."""
    header, data = {'__metadata__': metadata}, []
    end = 0
    for name in sorted(tensors):
        array = np.asarray(tensors[name])
        begin, end = end, end + array.nbytes
        header[name] = {'dtype': NAMES[array.dtype], 'shape': array.shape, 'data_offsets': [begin, end]}
        data.append(array.tobytes())          # row-major, whatever the layout in memory
    text = json.dumps(header, separators=(',', ':')).encode()
    text += b' ' * (-len(text) % 8)
    with open(path, 'wb') as file:
        file.write(struct.pack('<Q', len(text)) + text + b''.join(data))
