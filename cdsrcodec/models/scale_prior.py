"""The exact entropy network of `bmshj2018-hyperprior`: h_s and the scale table in integers.

    z_hat --h_s--> scale of each latent element --scale table--> index of its frequency table

Means are 0, and all elements are coded in one step. In the arithmetic of `layers.integer`,
always on the CPU. A transposed convolution of stride 2 is a 3x3 convolution to four times
the channels and a pixel shuffle, which is how it is stored.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from cdsrcodec.layers.integer import ONE, IntegerConv, clamp_activation
from cdsrcodec.models.interface import Prediction
from cdsrcodec.models.walking import TILE_CORE, run_h_s

LAYERS = ("h_s.0", "h_s.2", "h_s.4")


class ScalePrior:
    """h_s and the scale table over integers; see models.interface.Prior.

    Args:
        tensors: `<layer>.weight` int16, `<layer>.bias` int64, `<layer>.shift` uint8 for
            each of LAYERS, `z.medians` (N,) int32 in fixed point, and `scale_bounds`
            (tables - 1,) int32 in fixed point: the largest scale of each table but the last.
        rounding_rate_weight: see models.interface.Prior; 0 is plain rounding, as the published
            codec does.

    Raises:
        KeyError: a tensor is missing.
        ValueError: a layer fails the proof of exactness.
    """

    steps = 1

    def __init__(self, tensors: Mapping[str, Tensor], *, rounding_rate_weight: float = 0.0) -> None:
        self.rounding_rate_weight = rounding_rate_weight
        self.layers = [
            IntegerConv(*(tensors[f"{name}.{part}"] for part in ("weight", "bias", "shift")))
            for name in LAYERS
        ]
        self.medians = tensors["z.medians"].double()[None, :, None, None]
        self.hyper_channels = self.medians.shape[1]
        self.latent_channels = len(tensors[f"{LAYERS[-1]}.bias"])
        self.scale_bounds = tensors["scale_bounds"].double()

    def walk(self, z_symbols: Tensor, height: int, width: int) -> ScaleWalk:
        """Through a latent of (height, width), from (1, N, ceil(h/4), ceil(w/4)) int32."""
        return ScaleWalk(self.table_indexes(z_symbols, height, width))

    def table_indexes(
        self, z_symbols: Tensor, height: int, width: int, core: int = TILE_CORE
    ) -> Tensor:
        """(1, M, height, width) uint8: the narrowest table of at least the predicted scale."""
        indexes = torch.empty(1, self.latent_channels, height, width, dtype=torch.uint8)
        run_h_s(self._tables_of, z_symbols, indexes, core)
        return indexes

    def _tables_of(self, z_symbols: Tensor) -> Tensor:
        """(1, N, a, b) int32 symbols to (1, M, 4a, 4b) int32 indexes."""
        x = clamp_activation(z_symbols.double() * ONE + self.medians)
        for layer in self.layers[:-1]:
            x = F.pixel_shuffle(layer(x), 2).relu_()
        # The last ReLU does nothing: a scale of 0 and one below it take the first table.
        return torch.bucketize(self.layers[-1](x), self.scale_bounds, out_int32=True)


class ScaleWalk:
    """A walk of one step; see models.interface.Walk.

    Args:
        table_indexes: (1, M, h, w) uint8.
    """

    def __init__(self, table_indexes: Tensor) -> None:
        self._indexes = table_indexes
        self._known = torch.zeros_like(table_indexes, dtype=torch.float32)

    def predict(self, step: int) -> Prediction:
        """Means, all 0, and tables of all elements."""
        indexes = self._indexes.flatten()
        return Prediction(torch.zeros(1).expand(len(indexes)), indexes)

    def fill(self, step: int, prediction: Prediction, symbols: Tensor) -> None:
        """Enter the (M h w,) symbols."""
        self._known.copy_(symbols.view_as(self._known))

    @staticmethod
    def gather(step: int, y: Tensor) -> Tensor:
        """(M h w,) elements of y."""
        return y.flatten()

    def y_hat_gained(self) -> Tensor:
        """(1, M, h, w) float32: the symbols themselves."""
        return self._known
