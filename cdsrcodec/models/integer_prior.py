"""The exact entropy networks of `cdsr1`: what coding runs instead of floats.

Twin of `context_prior`, in the arithmetic of `layers.integer`, always on the CPU.
Two machines that disagree in one bit of a predicted scale would pick another
table and lose the rest of the file; here there is nothing to disagree about.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from cdsrcodec.layers.integer import (
    ONE,
    IntegerConv,
    clamp_activation,
    integer_leaky_relu_,
)
from cdsrcodec.models.cdsr1 import HYPER_CHANNELS, LATENT_CHANNELS, ROUNDING_RATE_WEIGHT
from cdsrcodec.models.context_prior import STEPS, step_parts
from cdsrcodec.models.interface import Prediction

H_S_LAYERS = ("h_s.0", "h_s.2", "h_s.4")
STEP0_LAYERS = ("prior.step0.0", "prior.step0.2")
ADAPT_LAYERS = tuple(f"prior.adapt.{k}" for k in range(STEPS - 1))
SHARED_LAYERS = ("prior.shared.1", "prior.shared.3")
LAYERS = (*H_S_LAYERS, *STEP0_LAYERS, *ADAPT_LAYERS, *SHARED_LAYERS)
HEAD_LAYERS = ("prior.step0.2", "prior.shared.3")
"""Layers that put out 224 means, then 224 table indexes, both in fixed point."""


class IntegerPrior:
    """h_s and the four-step prior over integers; see models.interface.Prior.

    Args:
        tensors: `<layer>.weight` int16, `<layer>.bias` int64, `<layer>.shift` uint8 for
            each of LAYERS, `z.medians` (128,) int32 in fixed point, and `gaussian.lengths`
            (tables,), whose number predicted indexes are clamped to.

    Raises:
        KeyError: a tensor is missing.
        ValueError: a layer fails the proof of exactness.
    """

    steps = STEPS
    hyper_channels = HYPER_CHANNELS
    rounding_rate_weight = ROUNDING_RATE_WEIGHT

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self.layers = {name: _layer(tensors, name) for name in LAYERS if name not in HEAD_LAYERS}
        # A step needs one channel group's outputs at each position: a quarter of a head.
        self.heads = {
            name: [_layer(tensors, name, _head_rows(group)) for group in range(STEPS)]
            for name in HEAD_LAYERS
        }
        self.medians = tensors["z.medians"].double()[None, :, None, None]
        self.last_table = len(tensors["gaussian.lengths"]) - 1

    def walk(self, z_symbols: Tensor, height: int, width: int) -> LatentWalk:
        """Through a latent of (height, width), from (1, 128, ceil(h/4), ceil(w/4)) int32."""
        return LatentWalk(self, z_symbols, height, width)

    def features(self, z_symbols: Tensor, height: int, width: int) -> Tensor:
        """h_s: (1, 128, ceil(h/4), ceil(w/4)) int32 symbols to (1, 224, h, w) fixed point."""
        x = clamp_activation(z_symbols.double() * ONE + self.medians)
        for name in H_S_LAYERS[:-1]:
            x = integer_leaky_relu_(F.pixel_shuffle(self.layers[name](x), 2))
        x = integer_leaky_relu_(self.layers[H_S_LAYERS[-1]](x))
        return x[..., :height, :width].contiguous()

    def hidden(self, step: int, features: Tensor, known: Tensor) -> Tensor:
        """(1, 224, h, w) input of the step's head."""
        if step == 0:
            return integer_leaky_relu_(self.layers[STEP0_LAYERS[0]](features))
        known = clamp_activation(known)
        h = self.layers[ADAPT_LAYERS[step - 1]](torch.cat([features, known], 1))
        return integer_leaky_relu_(self.layers[SHARED_LAYERS[0]](integer_leaky_relu_(h)))

    def predict(self, step: int, features: Tensor, known: Tensor) -> Prediction:
        """Means and tables of the elements of a step, in the order channel, row, column."""
        h = self.hidden(step, features, known)
        heads = self.heads[STEP0_LAYERS[1] if step == 0 else SHARED_LAYERS[1]]
        means, indexes = [], []
        for head, (_, rows, columns) in zip(heads, step_parts(step, LATENT_CHANNELS), strict=True):
            h_part = h[..., rows, columns]
            if h_part.numel() == 0:  # a latent of one row or column
                continue
            group_means, group_indexes = head(h_part).chunk(2, 1)
            means.append(group_means.flatten())
            indexes.append(group_indexes.flatten())
        tables = ((torch.cat(indexes) + ONE // 2) / ONE).floor_().clamp_(0, self.last_table)
        return Prediction(torch.cat(means), tables.to(torch.uint8))


def _layer(
    tensors: Mapping[str, Tensor], name: str, rows: Tensor | slice = slice(None)
) -> IntegerConv:
    """A stored layer, or some of its output channels."""
    weight, bias, shift = (tensors[f"{name}.{part}"][rows] for part in ("weight", "bias", "shift"))
    return IntegerConv(weight, bias, shift)


def _head_rows(group: int) -> Tensor:
    """Output channels of a head for one channel group: its means, then its indexes."""
    size = LATENT_CHANNELS // STEPS
    means = torch.arange(group * size, (group + 1) * size)
    return torch.cat([means, means + LATENT_CHANNELS])


class LatentWalk:
    """A walk of STEPS steps; see models.interface.Walk.

    Args:
        prior: the integer networks.
        z_symbols: (1, 128, ceil(h/4), ceil(w/4)) int32.
        height, width: h and w of the latent.
    """

    def __init__(self, prior: IntegerPrior, z_symbols: Tensor, height: int, width: int) -> None:
        self.prior = prior
        self.features = prior.features(z_symbols, height, width)
        self.known = torch.zeros(1, LATENT_CHANNELS, height, width, dtype=torch.float64)
        """Means + symbols of what is coded so far in fixed point, 0 elsewhere."""

    def predict(self, step: int) -> Prediction:
        """Means and tables of the elements of this step."""
        return self.prior.predict(step, self.features, self.known)

    def fill(self, step: int, prediction: Prediction, symbols: Tensor) -> None:
        """Enter (n,) symbols, which with the means give this step's elements."""
        values = prediction.means + symbols.double() * ONE
        start = 0
        for part in step_parts(step, LATENT_CHANNELS):
            target = self.known[0][part]
            stop = start + target.numel()
            target.copy_(values[start:stop].view_as(target))
            start = stop

    @staticmethod
    def gather(step: int, y: Tensor) -> Tensor:
        """(n,) elements of y (1, 224, h, w) that this step codes, in coding order."""
        return torch.cat([y[0][part].flatten() for part in step_parts(step, LATENT_CHANNELS)])

    def y_hat_gained(self) -> Tensor:
        """(1, 224, h, w) float32: the finished latent, gain still in."""
        return (self.known / ONE).float()
