"""The exact entropy networks of `cdsr1`: what coding runs instead of floats.

Twin of `context_prior`, in the arithmetic of `layers.integer`, always on the CPU.
Two machines that disagree in one bit of a predicted scale would pick another
table and lose the rest of the file; here there is nothing to disagree about.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from cdsrcodec.layers.integer import (
    ONE,
    IntegerConv,
    clamp_activation,
    integer_leaky_relu,
)
from cdsrcodec.models.cdsr1 import HYPER_STRIDE, LATENT_CHANNELS
from cdsrcodec.models.context_prior import STEPS, step_masks

H_S_LAYERS = ("h_s.0", "h_s.2", "h_s.4")
STEP0_LAYERS = ("prior.step0.0", "prior.step0.2")
ADAPT_LAYERS = tuple(f"prior.adapt.{k}" for k in range(STEPS - 1))
SHARED_LAYERS = ("prior.shared.1", "prior.shared.3")
LAYERS = (*H_S_LAYERS, *STEP0_LAYERS, *ADAPT_LAYERS, *SHARED_LAYERS)
HEAD_LAYERS = ("prior.step0.2", "prior.shared.3")
"""Layers that put out 224 means, then 224 table indexes, both in fixed point."""


class Prediction(NamedTuple):
    """What a step predicts for the elements it codes, flat in coding order."""

    means: Tensor  # (n,) float64, fixed point
    indexes: Tensor  # (n,) int64, rows of the Gaussian tables


class IntegerPrior:
    """h_s and the four-step prior over integers.

    Args:
        tensors: `<layer>.weight` int16, `<layer>.bias` int64, `<layer>.shift` uint8 for
            each of LAYERS, and `z.medians` (128,) int32 in fixed point.
        table_count: number of Gaussian tables; predicted indexes are clamped to it.

    Raises:
        KeyError: a tensor is missing.
        ValueError: a layer fails the proof of exactness.
    """

    def __init__(self, tensors: Mapping[str, Tensor], *, table_count: int) -> None:
        self.layers = {
            name: IntegerConv(*(tensors[f"{name}.{part}"] for part in ("weight", "bias", "shift")))
            for name in LAYERS
        }
        self.medians = tensors["z.medians"].double()[None, :, None, None]
        self.last_table = table_count - 1

    def features(self, z_symbols: Tensor, height: int, width: int) -> Tensor:
        """h_s: (1, 128, ceil(h/4), ceil(w/4)) int32 symbols to (1, 224, h, w) fixed point."""
        x = clamp_activation(z_symbols.double() * ONE + self.medians)
        for name in H_S_LAYERS[:-1]:
            x = integer_leaky_relu(F.pixel_shuffle(self.layers[name](x), 2))
        x = integer_leaky_relu(self.layers[H_S_LAYERS[-1]](x))
        return x[..., :height, :width].contiguous()

    def heads(self, step: int, features: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        """(means, table indexes) of step `step` at all elements, (1, 224, h, w) each."""
        if step == 0:
            first, last = STEP0_LAYERS
            out = self.layers[last](integer_leaky_relu(self.layers[first](features)))
        else:
            h = self.layers[ADAPT_LAYERS[step - 1]](torch.cat([features, known], 1))
            for name in SHARED_LAYERS:
                h = self.layers[name](integer_leaky_relu(h))
            out = h
        means, indexes = out.chunk(2, 1)
        indexes = ((indexes + ONE // 2) / ONE).floor().clamp(0, self.last_table)
        return means, indexes


class LatentWalk:
    """Goes through a latent step by step; encoder and decoder take the same walk.

    For each of the STEPS steps: `predict`, then `fill` with the symbols that were
    coded for exactly these elements, in the same order (channel, row, column).

    Args:
        prior: the integer networks.
        z_symbols: (1, 128, ceil(h/4), ceil(w/4)) int32.
        height, width: h and w of the latent.
    """

    def __init__(self, prior: IntegerPrior, z_symbols: Tensor, height: int, width: int) -> None:
        self.prior = prior
        self.masks = step_masks(LATENT_CHANNELS, height, width)[:, None]
        self.features = prior.features(z_symbols, height, width)
        self.known = torch.zeros(1, LATENT_CHANNELS, height, width, dtype=torch.float64)
        """Means + symbols of what is coded so far in fixed point, 0 elsewhere."""

    def predict(self, step: int) -> Prediction:
        """Means and tables of the elements of this step."""
        means, indexes = self.prior.heads(step, self.features, clamp_activation(self.known))
        mask = self.masks[step]
        return Prediction(means[mask], indexes[mask].long())

    def fill(self, step: int, prediction: Prediction, symbols: Tensor) -> None:
        """Enter (n,) symbols, which with the means give this step's elements."""
        self.known[self.masks[step]] = prediction.means + symbols.double() * ONE

    def y_hat_gained(self) -> Tensor:
        """(1, 224, h, w) float32: the finished latent, gain still in."""
        return (self.known / ONE).float()


def hyper_size(height: int, width: int) -> tuple[int, int]:
    """Positions of z for a latent of (height, width)."""
    return -(-height // HYPER_STRIDE), -(-width // HYPER_STRIDE)
