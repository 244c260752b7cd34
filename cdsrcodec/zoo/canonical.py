"""Weight files whose bytes follow from their content alone.

A model that every user converts for himself must get the same entropy tag everywhere. The
safetensors library promises no order of tensors or metadata; here both are fixed.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping

import torch
from torch import Tensor

_NAMES = {
    torch.float32: "F32",
    torch.int16: "I16",
    torch.int32: "I32",
    torch.int64: "I64",
    torch.uint8: "U8",
}
_ALIGNMENT_BYTES = 8


def pack_tensors(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> bytes:
    """A safetensors file: widest types first, which keeps them aligned, then by name.

    Raises:
        KeyError: a type that no weight file here has.
    """
    order = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))
    header: dict[str, object] = {"__metadata__": dict(sorted(metadata.items()))}
    parts: list[bytes] = []
    offset = 0
    for name in order:
        tensor = tensors[name].detach().contiguous()
        array = tensor.numpy()
        data = array.astype(array.dtype.newbyteorder("<")).tobytes()
        parts.append(data)
        header[name] = {
            "dtype": _NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [offset, offset + len(data)],
        }
        offset += len(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNMENT_BYTES)
    return struct.pack("<Q", len(text)) + text + b"".join(parts)
