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

from cdsrcodec.layers.integer import ONE
from cdsrcodec.models.cdsr1 import LATENT_CHANNELS
from cdsrcodec.models.context_prior import SCALE_MIN, ContextPrior, HyperSynthesis
from cdsrcodec.models.integer_prior import HEAD_LAYERS, LAYERS

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
        layer = {part: tensors[f"{name}.{part}"] for part in ("weight", "bias", "shift")}
        weight, bias = dequantise_layer(layer, is_head=name in HEAD_LAYERS)
        state |= {f"{name}.weight": weight, f"{name}.bias": bias}
    return state


def dequantise_layer(layer: dict[str, Tensor], *, is_head: bool) -> tuple[Tensor, Tensor]:
    """Float weight and bias of an integer layer: inverse of training's quantise_layer."""
    scale = torch.exp2(layer["shift"].double())
    weight = layer["weight"].double() / scale[:, None, None, None]
    bias = layer["bias"].double() / (scale * ONE)
    if is_head:
        weight[LATENT_CHANNELS:] *= LOG_SCALE_STEP
        bias[LATENT_CHANNELS:] = bias[LATENT_CHANNELS:] * LOG_SCALE_STEP + math.log(SCALE_MIN)
    return weight.float(), bias.float()
