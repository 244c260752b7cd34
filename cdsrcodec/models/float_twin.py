"""The integer entropy networks once more in float, for gradients.

`integer_prior` decides what is coded and has no gradients; the networks here have the
very weights that its integers stand for, so what lowers the rate here lowers it there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from cdsrcodec.models.cdsr1 import LATENT_CHANNELS
from cdsrcodec.models.context_prior import SCALE_MIN, ContextPrior, HyperSynthesis
from cdsrcodec.models.integer_layers import HEAD_LAYERS, LAYERS, input_grid, output_grid

SCALE_COUNT = 64
SCALE_MAX = 256.0
LOG_SCALE_STEP = math.log(SCALE_MAX / SCALE_MIN) / (SCALE_COUNT - 1)


class FloatTwin(NamedTuple):
    """h_s and the four-step prior in float, without gradients of their weights."""

    h_s: HyperSynthesis
    prior: ContextPrior


@torch.inference_mode(False)
def float_twin(tensors: Mapping[str, Tensor], device: torch.device) -> FloatTwin:
    """The float networks of the tensors that `IntegerPrior` takes, on the device.

    Raises:
        KeyError: a tensor is missing.
    """
    state = float_state(tensors)
    with torch.device("meta"):
        twin = FloatTwin(HyperSynthesis(), ContextPrior())
    for prefix, network in twin._asdict().items():
        part = {
            name.removeprefix(f"{prefix}."): tensor.to(device)
            for name, tensor in state.items()
            if name.startswith(f"{prefix}.")
        }
        network.load_state_dict(part, assign=True)
        network.to(memory_format=torch.channels_last).eval().requires_grad_(False)
    return twin


def float_state(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`<layer>.weight` and `<layer>.bias` of all LAYERS in float32."""
    state: dict[str, Tensor] = {}
    for name in LAYERS:
        state[f"{name}.weight"], state[f"{name}.bias"] = dequantise_layer(tensors, name)
    return state


def dequantise_layer(tensors: Mapping[str, Tensor], name: str) -> tuple[Tensor, Tensor]:
    """Float weight and bias of one of LAYERS: inverse of training's quantise_layer and regrid.

    `<layer>.drift`, which the stored bias lacks because rounding adds as much on average, is added
    again: floats are not rounded.
    """
    weight, bias, shift = (tensors[f"{name}.{part}"] for part in ("weight", "bias", "shift"))
    input_bits, output_bits = input_grid(tensors, name).bits, output_grid(tensors, name).bits
    scale = torch.exp2((shift + output_bits).double())
    weight = weight.double() / scale[:, None, None, None]
    weight *= torch.exp2(input_bits.double())[:, None, None]
    bias = (bias + tensors.get(f"{name}.drift", 0)).double() / scale
    if name in HEAD_LAYERS:
        weight[LATENT_CHANNELS:] *= LOG_SCALE_STEP
        bias[LATENT_CHANNELS:] = bias[LATENT_CHANNELS:] * LOG_SCALE_STEP + math.log(SCALE_MIN)
    return weight.float(), bias.float()
