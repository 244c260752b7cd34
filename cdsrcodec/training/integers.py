"""Layers of the entropy networks between float, for training, and int16, for coding."""

from __future__ import annotations

import math
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor, nn

from cdsrcodec.layers.integer import quantise_weights
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
