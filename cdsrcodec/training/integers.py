"""Layers of the entropy networks between float, for training, and integers, for coding."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from cdsrcodec.layers.integer import (
    FLOAT32_LIMIT,
    FRACTION_BITS,
    MAX_SHIFT,
    Grid,
    quantise_weights,
    worst_sums,
)
from cdsrcodec.models.cdsr1 import LATENT_CHANNELS
from cdsrcodec.models.context_prior import SCALE_MIN
from cdsrcodec.models.float_twin import LOG_SCALE_STEP, float_state


def quantise_layer(conv: nn.Conv2d, *, is_head: bool) -> dict[str, Tensor]:
    """int16 weights with a power-of-two scale per output channel.

    A head's second half is log scales; it is turned affinely into indexes of
    the scale table, so that the integer network puts these out directly.

    Raises:
        ValueError: a weight or bias is too large, or not a number.
    """
    assert conv.bias is not None
    weight, bias = conv.weight.detach().double(), conv.bias.detach().double()
    if is_head:
        weight, bias = weight.clone(), bias.clone()
        weight[LATENT_CHANNELS:] /= LOG_SCALE_STEP
        bias[LATENT_CHANNELS:] = (bias[LATENT_CHANNELS:] - math.log(SCALE_MIN)) / LOG_SCALE_STEP
    return quantise_weights(weight, bias)


def regrid(
    weight: Tensor, bias: Tensor, inputs: Grid, outputs: Grid, *, in_float32: bool
) -> dict[str, Tensor]:
    """Arguments of IntegerConv for float ones, between tensors on grids.

    Args:
        weight: (out, in, k, k), of values that are not on a grid.
        bias: (out,).
        inputs: grid of the input channels.
        outputs: grid of the output channels.
        in_float32: as many bits as float32 takes exactly, instead of all of int16.

    Raises:
        ValueError: a weight or bias is too large, or not a number.
    """
    steps = torch.exp2((outputs.bits[:, None] - inputs.bits).double())
    weight = weight.double() * steps[:, :, None, None]
    if not in_float32:
        bias = bias.double() * torch.exp2(outputs.bits.double() - FRACTION_BITS)
        return quantise_weights(weight, bias)
    bias = bias.double() * torch.exp2(outputs.bits.double())
    largest = (weight.abs().sum((2, 3)) * inputs.limit).sum(1) + bias.abs()
    shift = torch.frexp(FLOAT32_LIMIT / largest).exponent.clamp(max=MAX_SHIFT)
    layer = _rounded(weight, bias, shift)
    while (is_large := worst_sums(**layer, input_limit=inputs.limit) >= FLOAT32_LIMIT).any():
        shift = shift - is_large.int()
        if not (shift >= 1).all():
            raise ValueError("a weight or bias is too large for float32 at the smallest shift")
        layer = _rounded(weight, bias, shift)
    return layer


def _rounded(weight: Tensor, bias: Tensor, shift: Tensor) -> dict[str, Tensor]:
    scale = torch.exp2(shift.double())
    return {
        "weight": (weight * scale[:, None, None, None]).round().to(torch.int16),
        "bias": (bias * scale).round().to(torch.int64),
        "shift": shift.to(torch.uint8),
    }


def exported_state(folder: Path) -> dict[str, Tensor]:
    """The float state of a codec that was exported to `folder`, to train on from a release.

    Raises:
        OSError, SafetensorError, KeyError: files or tensors are missing or damaged.
    """
    entropy = load_file(folder / "entropy.safetensors")
    state = {"quality.log_gain": entropy["quality.log_gain"], **float_state(entropy)}
    for part in ("encoder", "decoder", "training"):
        state |= load_file(folder / f"{part}.safetensors")
    return {name: tensor.float() for name, tensor in state.items()}
