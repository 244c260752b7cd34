"""The integer layers of `cdsr1`, and the fixed point of what passes between them.

A stored entropy part may have a grid for each of GRIDS, two tensors: `grid.<name>.bits` uint8 and
`grid.<name>.limit` int32, see layers.integer.Grid. Limits that fit what occurs keep sums so
small that float32 is exact. The entropy part of 0.1.0 has none, and each channel everywhere has
the bits and the limit of layers.integer; so have the inputs and outputs of all layers that
are not named here. Beside a layer's tensors may stand `<layer>.drift` (out,) int64, in units of its
bias: what its bias lacks because rounding adds as much on average. Coding does not read it.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from cdsrcodec.layers.integer import Grid, common_grid
from cdsrcodec.models.cdsr1 import HYPER_CHANNELS, LATENT_CHANNELS
from cdsrcodec.models.context_prior import STEPS

H_S_LAYERS = ("h_s.0", "h_s.2", "h_s.4")
STEP0_LAYERS = ("prior.step0.0", "prior.step0.2")
ADAPT_LAYERS = tuple(f"prior.adapt.{k}" for k in range(STEPS - 1))
SHARED_LAYERS = ("prior.shared.1", "prior.shared.3")
LAYERS = (*H_S_LAYERS, *STEP0_LAYERS, *ADAPT_LAYERS, *SHARED_LAYERS)
HEAD_LAYERS = ("prior.step0.2", "prior.shared.3")
"""Layers that put out 224 means, then 224 table indexes, both in fixed point."""

KNOWN = "known"
GRIDS = {
    "h_s.0": HYPER_CHANNELS,  # between h_s.0 and h_s.2, after the pixel shuffle
    "h_s.2": HYPER_CHANNELS,
    "features": LATENT_CHANNELS,  # what h_s puts out
    KNOWN: LATENT_CHANNELS,  # means + symbols of what is coded so far
    "adapted": LATENT_CHANNELS,  # what the first layer of steps 1 to 3 puts out
}
"""Channels of each grid."""
INPUTS = {
    "h_s.2": ("h_s.0",),
    "h_s.4": ("h_s.2",),
    "prior.step0.0": ("features",),
    **dict.fromkeys(ADAPT_LAYERS, ("features", KNOWN)),
    "prior.shared.1": ("adapted",),
}
"""Layers whose whole input is on grids, one after the other."""
_OUTPUTS = {"h_s.4": "features", **dict.fromkeys(ADAPT_LAYERS, "adapted")}
_SHUFFLED = ("h_s.0", "h_s.2")


def stored_grid(tensors: Mapping[str, Tensor], name: str) -> Grid:
    """The grid of one of GRIDS."""
    bits, limit = (tensors.get(f"grid.{name}.{part}") for part in Grid._fields)
    if bits is None or limit is None:
        return common_grid(GRIDS[name])
    return Grid(bits.long(), limit.long())


def input_grid(tensors: Mapping[str, Tensor], layer: str) -> Grid:
    """The grid of the input channels of one of LAYERS."""
    if layer not in INPUTS:
        return common_grid(tensors[f"{layer}.weight"].shape[1])
    grids = [stored_grid(tensors, name) for name in INPUTS[layer]]
    return Grid(*map(torch.cat, zip(*grids, strict=True)))


def output_grid(tensors: Mapping[str, Tensor], layer: str) -> Grid:
    """The grid of the output channels of one of LAYERS."""
    if layer in _SHUFFLED:
        return stored_grid(tensors, layer).repeat(4)
    if layer in _OUTPUTS:
        return stored_grid(tensors, _OUTPUTS[layer])
    return common_grid(len(tensors[f"{layer}.bias"]))
