"""From CompressAI's checkpoint to the three weight files of an installed model.

The transforms stay as they are, in float32, and h_s becomes integers. What machines could
compute differently is not computed: the tables of z are those that the checkpoint holds, those of
y the ones that `cdsr1` ships, and the scales that choose among these stand here as integers. So
every user who converts a checkpoint gets the same bytes, and with them the same entropy tag.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional as F

from cdsrcodec.entropy import MAX_SYMBOL, TableSet
from cdsrcodec.entropy.tables import TOTAL
from cdsrcodec.layers.integer import ACTIVATION_LIMIT, FRACTION_BITS, ONE, quantise_weights
from cdsrcodec.models.registry import CDSR1, HASH_SUFFIX, codec_named
from cdsrcodec.models.scale_prior import LAYERS, ScalePrior
from cdsrcodec.zoo.canonical import pack_tensors
from cdsrcodec.zoo.checkpoint import PRIOR

CDF_TOTAL = 1 << 16
"""Sum of the counts of CompressAI's tables."""
SCALE_BOUNDS = (
    28, 31, 36, 40, 46, 52, 58, 66, 75, 85, 96, 109, 123, 139, 157, 178, 201, 228, 257, 291, 329,
    373, 422, 477, 539, 610, 690, 780, 883, 998, 1129, 1277, 1444, 1633, 1847, 2089, 2363, 2672,
    3022, 3418, 3866, 4372, 4945, 5592, 6325, 7153, 8090, 9149, 10347, 11702, 13235, 14968, 16928,
    19145, 21652, 24487, 27694, 31320, 35421, 40060, 45305, 51238, 57947,
)  # fmt: skip
"""The scales of all tables but the last, 0.11 (256 / 0.11)^(i / 63), in fixed point, rounded down.

A scale in fixed point is above one of these just where it is above the scale itself. They are
written out since no two machines need have the same exp.
"""
_PEDESTAL = np.float32(2.0**-36)
_BETA_MIN = 1e-6


def convert(state: Mapping[str, Tensor], metadata: Mapping[str, str]) -> dict[str, bytes]:
    """The weight files, by name, of a checkpoint that read_checkpoint has passed.

    Args:
        state: of the checkpoint.
        metadata: what else the entropy file should say, and its tag stand for.

    Raises:
        ValueError: it has no exact integer form, or its tables are malformed.
    """
    encoder = pack_tensors(transform_tensors(state, "g_a.", "h_a."), {})
    decoder = pack_tensors(transform_tensors(state, "g_s."), {})
    # The tag is to stand for all weights: two models that differ in g_s alone are two models.
    # Whoever loads the files compares (codec.loading).
    hashes = {
        f"{name}{HASH_SUFFIX}": hashlib.sha256(data).hexdigest()
        for name, data in (("encoder", encoder), ("decoder", decoder))
    }
    fixed_point = {"fraction_bits": str(FRACTION_BITS)}
    entropy = pack_tensors(entropy_tensors(state), {**metadata, **hashes, **fixed_point})
    files = {"entropy": entropy, "encoder": encoder, "decoder": decoder}
    return {f"{name}.safetensors": data for name, data in files.items()}


def transform_tensors(state: Mapping[str, Tensor], *prefixes: str) -> dict[str, Tensor]:
    """Those float tensors of a checkpoint whose names begin so, as the transforms use them."""
    return {name: _acting(name, t) for name, t in state.items() if name.startswith(prefixes)}


def _acting(name: str, tensor: Tensor) -> Tensor:
    """A tensor as the transforms use it: of a GDN's parameters the square, less an offset."""
    if not name.endswith((".beta", ".gamma")):
        return tensor
    minimum = _BETA_MIN if name.endswith(".beta") else 0.0
    bound = np.float32(math.sqrt(minimum + float(_PEDESTAL)))
    root = np.maximum(tensor.numpy(), bound)
    acting = torch.from_numpy(root * root - _PEDESTAL)
    return acting[:, :, None, None] if acting.ndim == 2 else acting


def entropy_tensors(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """All integers of the entropy part: h_s, medians, and the tables of z and y.

    Args:
        state: of a checkpoint with its tables.

    Raises:
        ValueError: it has no exact integer form, or its tables are malformed.
    """
    tensors: dict[str, Tensor] = {}
    for name in LAYERS:
        weight, bias = state[f"{name}.weight"].double(), state[f"{name}.bias"].double()
        if weight.shape[2] == 5:  # the transposed ones
            weight, bias = as_convolution(weight), bias.repeat_interleave(4)
        try:
            layer = quantise_weights(weight, bias)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
        tensors |= {f"{name}.{part}": tensor for part, tensor in layer.items()}
    medians = (state[f"{PRIOR}.quantiles"][:, 0, 1].double() * ONE).round()
    if not (medians.abs() < ACTIVATION_LIMIT).all():
        raise ValueError("a median of z is too large")
    bounds = torch.tensor(SCALE_BOUNDS, dtype=torch.int32)
    tensors |= {"z.medians": medians.to(torch.int32), "scale_bounds": bounds}
    tensors |= hyper_tables(state) | gaussians_of_cdsr1()
    ScalePrior(tensors)  # proves that no sum can leave the exact range
    return tensors


def as_convolution(weight: Tensor) -> Tensor:
    """A transposed 5x5 convolution of stride 2 as a 3x3 one before a pixel shuffle.

    Output 2p + phase has input p - 1 + j times tap 4 + phase - 2j, where there is such a tap.

    Args:
        weight: (in, out, 5, 5) of nn.ConvTranspose2d with padding 2 and output padding 1.

    Returns:
        (4 out, in, 3, 3) of nn.Conv2d with padding 1.
    """
    padded = F.pad(weight.transpose(0, 1), (0, 1, 0, 1))  # tap 5 is 0
    taps = torch.tensor([[4, 2, 0], [5, 3, 1]])  # of phase and j
    split = padded[:, :, taps[:, None, :, None], taps[None, :, None, :]]  # out, in, 2, 2, 3, 3
    return split.permute(0, 2, 3, 1, 4, 5).flatten(0, 2)


def hyper_tables(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tables of z about its medians, from the integers of the checkpoint.

    Raises:
        ValueError: they are malformed.
    """
    cdfs, lows, lengths = (
        state[f"{PRIOR}.{name}"].numpy().astype(np.int64)
        for name in ("_quantized_cdf", "_offset", "_cdf_length")
    )
    if lengths.min() < 3 or lengths.max() > cdfs.shape[1]:
        raise ValueError("the lengths of its frequency tables are malformed")
    counts = [np.diff(cdf[:length]) for cdf, length in zip(cdfs, lengths, strict=True)]
    if any((c < 1).any() or c.sum() != CDF_TOTAL for c in counts):
        raise ValueError("its frequency tables are malformed")
    if lows.min() < -MAX_SYMBOL or (lows + lengths - 3).max() > MAX_SYMBOL:  # escapes reach no more
        raise ValueError("the offsets of its frequency tables are malformed")
    arrays = np.concatenate(counts) * (TOTAL // CDF_TOTAL), lengths - 1, lows
    tables = TableSet(*(array.astype(np.int32) for array in arrays))
    return {
        "z.counts": torch.from_numpy(tables.counts),
        "z.lengths": torch.from_numpy(tables.lengths),
        "z.lows": torch.from_numpy(tables.lows),
    }


def gaussians_of_cdsr1() -> dict[str, Tensor]:
    """Tables of zero-mean Gaussians of 64 scales from 0.11 to 256, shipped, which never change."""
    tensors = load_file(codec_named(CDSR1).entropy_file)
    return {name: tensor for name, tensor in tensors.items() if name.startswith("gaussian.")}
