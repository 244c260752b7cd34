"""Checkpoints of CompressAI's ScaleHyperprior: read safely, checked key by key."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from cdsrcodec.errors import ModelError
from cdsrcodec.layers.state_files import read_state
from cdsrcodec.models.hyperprior import (
    LARGE_CHANNELS,
    LAST_SMALL_QUALITY,
    SMALL_CHANNELS,
    HyperpriorDecoder,
    HyperpriorEncoder,
    channels_at,
)

Shape = tuple[int | None, ...]
"""None stands for any length."""
TABLES = ("_quantized_cdf", "_offset", "_cdf_length")
PRIOR = "entropy_bottleneck"

# What training needs, or can be made again: CompressAI has given the network of the prior
# three spellings.
_NOT_NEEDED = re.compile(
    r"entropy_bottleneck\.(?:(?:matrices|biases|factors|_matrices|_biases|_factors)\.\d"
    r"|_(?:matrix|bias|factor)\d|target|likelihood_lower_bound\.bound)"
    r"|gaussian_conditional\..*"
    r"|g_[as]\.\d\.(?:beta|gamma)_reparam\..*"
)


def read_checkpoint(file: Path, quality: int) -> dict[str, Tensor]:
    """The tensors of a checkpoint that the codec needs, by their names in CompressAI.

    Floats are float32, and finite. Old spellings of keys, and what DataParallel puts in front
    of them, are understood.

    Args:
        file: .pth, .pth.tar or .safetensors.
        quality: 1..8, which decides the shapes.

    Raises:
        ModelError: it cannot be read, or is not such a checkpoint.
    """
    state = {name.removeprefix("module."): tensor for name, tensor in read_state(file).items()}
    try:
        return _select(state, quality)
    except ValueError as error:
        raise ModelError(
            f"{file}: not a checkpoint of bmshj2018-hyperprior for quality {quality}: {error}"
        ) from error


def _select(state: Mapping[str, Tensor], quality: int) -> dict[str, Tensor]:
    shapes = _shapes(*channels_at(quality))
    for name in shapes:
        if name not in state:
            raise ValueError(f"{name} is missing. hint: take another file")
    if any(state[f"{PRIOR}.{name}"].numel() == 0 for name in TABLES):
        raise ValueError(
            "its frequency tables are empty. hint: run `python -m compressai.utils.update_model` "
            "on it, as the zoo's files were"
        )
    for name, tensor in state.items():
        if name in shapes:
            _check_shape(name, tensor, shapes[name])
        elif not _NOT_NEEDED.fullmatch(name):
            raise ValueError(f"{name} is unknown. hint: take another file")
    needed = {name: state[name] for name in shapes}
    floats = {name: t.float() for name, t in needed.items() if t.is_floating_point()}
    for name, tensor in floats.items():
        if not tensor.isfinite().all():
            raise ValueError(f"{name} is not finite. hint: its training diverged")
    return needed | floats


def _check_shape(name: str, tensor: Tensor, shape: Shape) -> None:
    is_table = name.removeprefix(f"{PRIOR}.") in TABLES
    if tensor.ndim != len(shape) or any(
        wanted not in (None, side) for wanted, side in zip(shape, tensor.shape, strict=True)
    ):
        raise ValueError(
            f"{name} is of shape {_in_words(tuple(tensor.shape))}, not {_in_words(shape)}. "
            f"hint: -q 1 to {LAST_SMALL_QUALITY} have {_in_words(SMALL_CHANNELS)} channels, "
            f"those above {_in_words(LARGE_CHANNELS)}"
        )
    if tensor.is_floating_point() is is_table or tensor.is_complex():
        raise ValueError(f"{name} is of type {tensor.dtype}. hint: take another file")


def _in_words(shape: Shape) -> str:
    return "x".join("?" if side is None else str(side) for side in shape)


def _shapes(hidden: int, latent: int) -> dict[str, Shape]:
    """Of all that is needed; gammas are matrices there."""
    with torch.device("meta"):
        networks = HyperpriorEncoder(hidden, latent), HyperpriorDecoder(hidden, latent)
    shapes: dict[str, Shape] = {
        name: tuple(tensor.shape[:2] if name.endswith(".gamma") else tensor.shape)
        for network in networks
        for name, tensor in network.state_dict().items()
    }
    for layer in ("h_s.0", "h_s.2"):
        shapes |= {f"{layer}.weight": (hidden, hidden, 5, 5), f"{layer}.bias": (hidden,)}
    shapes |= {"h_s.4.weight": (latent, hidden, 3, 3), "h_s.4.bias": (latent,)}
    shapes |= {f"{PRIOR}.{name}": (hidden,) for name in TABLES}
    return shapes | {
        f"{PRIOR}.quantiles": (hidden, 1, 3),
        f"{PRIOR}._quantized_cdf": (hidden, None),
    }
