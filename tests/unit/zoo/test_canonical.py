from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from cdsrcodec.zoo.canonical import pack_tensors

TENSORS = {
    "b.bias": torch.tensor([1.5, -2.0]),
    "a.shift": torch.tensor([[3], [250]], dtype=torch.uint8),
    "a.bias": torch.tensor([-(2**40)]),
    "a.weight": torch.tensor([[-7, 8, 9]], dtype=torch.int16),
    "z": torch.tensor([1, 2], dtype=torch.int32),
}
METADATA = {"b": "2", "a": "ä"}


def test_safetensors_reads_it_back(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(pack_tensors(TENSORS, METADATA))
    with safe_open(path, "pt") as file:
        assert file.metadata() == METADATA
        assert set(file.keys()) == set(TENSORS)
        for name, tensor in TENSORS.items():
            read = file.get_tensor(name)
            assert read.dtype == tensor.dtype
            assert torch.equal(read, tensor)


def test_neither_order_nor_strides_change_a_byte() -> None:
    expected = pack_tensors(TENSORS, METADATA)
    turned = {name: TENSORS[name] for name in reversed(TENSORS)}
    turned["a.shift"] = TENSORS["a.shift"].T.contiguous().T
    assert pack_tensors(turned, dict(reversed(METADATA.items()))) == expected


def test_the_bytes_are_the_same_for_ever() -> None:
    digest = hashlib.sha256(pack_tensors(TENSORS, METADATA)).hexdigest()
    assert digest == "b98d71c163b81319104e0ad14dd182466a4f8fa9b0d7a7608d88b53082b35ad8"


def test_a_type_that_no_weight_file_has_is_refused() -> None:
    with pytest.raises(KeyError):
        pack_tensors({"a": torch.zeros(1, dtype=torch.float64)}, {})
