"""The exact entropy networks of `cdsr1`: what coding runs instead of floats.

Twin of `context_prior`, in the arithmetic of `layers.integer`, always on the CPU.
Two machines that disagree in one bit of a predicted scale would pick another
table and lose the rest of the file; here there is nothing to disagree about.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property, partial

import torch
from torch import Tensor
from torch.nn import functional as F

from cdsrcodec.layers.exact_products import float32_is_exact
from cdsrcodec.layers.integer import (
    FRACTION_BITS,
    ONE,
    IntegerConv,
    clamp_activation,
    clamp_channels_,
    integer_leaky_relu_,
)
from cdsrcodec.layers.tiling import Span, run_tiled
from cdsrcodec.models.cdsr1 import HYPER_CHANNELS, LATENT_CHANNELS, ROUNDING_RATE_WEIGHT
from cdsrcodec.models.context_prior import STEPS, step_parts
from cdsrcodec.models.integer_layers import (
    ADAPT_LAYERS,
    H_S_LAYERS,
    HEAD_LAYERS,
    KNOWN,
    LAYERS,
    SHARED_LAYERS,
    STEP0_LAYERS,
    input_grid,
    output_grid,
    stored_grid,
)
from cdsrcodec.models.interface import Prediction
from cdsrcodec.models.walking import TILE_CORE, run_h_s


class IntegerPrior:
    """h_s and the four-step prior over integers; see models.interface.Prior.

    Args:
        tensors: `<layer>.weight` int16, `<layer>.bias` int64, `<layer>.shift` uint8 for
            each of LAYERS, `z.medians` (128,) int32 in fixed point, `gaussian.lengths`
            (tables,), whose number predicted indexes are clamped to, and where there are any,
            the grids of integer_layers.
        in_float32: whether layers may run in float32 where that is exact.

    Raises:
        KeyError: a tensor is missing.
        ValueError: a layer fails the proof of exactness.
    """

    steps = STEPS
    hyper_channels = HYPER_CHANNELS
    rounding_rate_weight = ROUNDING_RATE_WEIGHT

    def __init__(self, tensors: Mapping[str, Tensor], *, in_float32: bool = True) -> None:
        self._tensors = tensors
        layer = partial(_layer, tensors, in_float32)
        self.layers = {name: layer(name) for name in LAYERS if name not in HEAD_LAYERS}
        # A step needs one channel group's outputs at each position: a quarter of a head.
        self.heads = {
            name: [layer(name, _head_rows(group)) for group in range(STEPS)] for name in HEAD_LAYERS
        }
        known = stored_grid(tensors, KNOWN)
        self._known_scale = torch.exp2(known.bits - float(FRACTION_BITS))[:, None, None]
        self._known_limit = known.limit[:, None, None].float()
        self.medians = tensors["z.medians"].double()[None, :, None, None]
        self.last_table = len(tensors["gaussian.lengths"]) - 1

    def walk(self, z_symbols: Tensor, height: int, width: int) -> LatentWalk:
        """Through a latent of (height, width), from (1, 128, ceil(h/4), ceil(w/4)) int32."""
        prior = self if float32_is_exact() else self._in_float64
        return LatentWalk(prior, z_symbols, height, width)

    @cached_property
    def _in_float64(self) -> IntegerPrior:
        """The same integers for a process that lets float32 products be rounded."""
        return IntegerPrior(self._tensors, in_float32=False)

    def h_s(self, z_symbols: Tensor) -> Tensor:
        """(1, 128, a, b) int32 symbols to (1, 224, 4a, 4b) features in fixed point."""
        x = clamp_activation(z_symbols.double() * ONE + self.medians)
        for name in H_S_LAYERS[:-1]:
            x = integer_leaky_relu_(F.pixel_shuffle(self.layers[name](x), 2))
        return integer_leaky_relu_(self.layers[H_S_LAYERS[-1]](x))

    def hidden(self, step: int, inputs: Tensor) -> Tensor:
        """The (1, 224, h, w) input of the step's head.

        Args:
            step: 0..3.
            inputs: (1, 448, h, w) float32: features on their grid, then what is known, in
                fixed point.
        """
        features, known = torch.split(inputs, LATENT_CHANNELS, 1)
        if step == 0:
            return integer_leaky_relu_(self.layers[STEP0_LAYERS[0]](features))
        # On to its own grid. Where float32 rounds the sum, it is far beyond the limit.
        known = (known * self._known_scale).add_(0.5).floor_()
        x = torch.cat([features, clamp_channels_(known, self._known_limit)], 1)
        h = self.layers[ADAPT_LAYERS[step - 1]](x)
        del known, x  # the largest tensors of a tile
        return integer_leaky_relu_(self.layers[SHARED_LAYERS[0]](integer_leaky_relu_(h)))

    def predict(self, step: int, inputs: Tensor, core: int = TILE_CORE) -> Prediction:
        """Means and tables of the elements of a step, in the order channel, row, column.

        Args:
            step: 0..3.
            inputs: as of `hidden`.
            core: of the tiles, as TILE_CORE.
        """
        heads = self.heads[STEP0_LAYERS[1] if step == 0 else SHARED_LAYERS[1]]
        parts = step_parts(step, LATENT_CHANNELS)
        shapes = [inputs[0][part].shape for part in parts]
        count = sum(map(math.prod, shapes))
        prediction = Prediction(torch.empty(count), torch.empty(count, dtype=torch.uint8))
        outputs = zip(*(_split(flat, shapes) for flat in prediction), strict=True)
        groups = list(zip(heads, parts, outputs, strict=True))

        def store(h: Tensor, rows: Span, columns: Span) -> None:
            """Put what the heads make of a tile of `hidden` into its place of the prediction."""
            # Tiles begin at even rows and columns, so a 2x2 cell lies in one of them.
            first_row, first_column = rows[0] // 2, columns[0] // 2
            for head, (_, part_rows, part_columns), (means, indexes) in groups:
                h_part = h[..., part_rows, part_columns]
                height, width = h_part.shape[2:]
                if h_part.numel() == 0:  # a tile of one row or column
                    continue
                there = (
                    slice(None),
                    slice(first_row, first_row + height),
                    slice(first_column, first_column + width),
                )
                part_means, part_indexes = head(h_part)[0].chunk(2)
                means[there] = part_means
                tables = part_indexes.add_(ONE // 2).div_(ONE).floor_()
                indexes[there] = tables.clamp_(0, self.last_table)

        halo = 0 if step == 0 else 1  # of the one 3x3 convolution
        network = partial(self.hidden, step)
        run_tiled(network, inputs, store, grain=1, scale=1, core=core, halo=halo)
        return prediction


def _split(flat: Tensor, shapes: Sequence[torch.Size]) -> list[Tensor]:
    """Views of consecutive parts of a flat tensor."""
    parts = torch.split(flat, [math.prod(shape) for shape in shapes])
    return [part.view(shape) for part, shape in zip(parts, shapes, strict=True)]


def _layer(
    tensors: Mapping[str, Tensor], in_float32: bool, name: str, rows: Tensor | slice = slice(None)
) -> IntegerConv:
    """A stored layer, or some of its output channels."""
    weight, bias, shift = (tensors[f"{name}.{part}"][rows] for part in ("weight", "bias", "shift"))
    return IntegerConv(
        weight,
        bias,
        shift,
        input_limit=input_grid(tensors, name).limit,
        output_limit=output_grid(tensors, name).limit[rows],
        in_float32=in_float32,
    )


def _head_rows(group: int) -> Tensor:
    """Output channels of a head for one channel group: its means, then its indexes."""
    size = LATENT_CHANNELS // STEPS
    means = torch.arange(group * size, (group + 1) * size)
    return torch.cat([means, means + LATENT_CHANNELS])


class LatentWalk:
    """A walk of STEPS steps; see models.interface.Walk.

    What it keeps is float32, which holds all integers up to 2^24: features, on their grid, are
    within 2^20 and means + symbols, in fixed point, within 2^20 + 2^23.

    Args:
        prior: the integer networks.
        z_symbols: (1, 128, ceil(h/4), ceil(w/4)) int32.
        height, width: h and w of the latent.
        core: of the tiles, as TILE_CORE.
    """

    def __init__(
        self,
        prior: IntegerPrior,
        z_symbols: Tensor,
        height: int,
        width: int,
        core: int = TILE_CORE,
    ) -> None:
        self.prior = prior
        self.core = core
        self._inputs = torch.zeros(1, 2 * LATENT_CHANNELS, height, width)
        self.features = self._inputs[:, :LATENT_CHANNELS]
        self.known = self._inputs[:, LATENT_CHANNELS:]
        """Means + symbols of what is coded so far in fixed point, 0 elsewhere."""
        run_h_s(prior.h_s, z_symbols, self.features, core)

    def predict(self, step: int) -> Prediction:
        """Means and tables of the elements of this step."""
        return self.prior.predict(step, self._inputs, self.core)

    def fill(self, step: int, prediction: Prediction, symbols: Tensor) -> None:
        """Enter (n,) symbols, which with the means give this step's elements."""
        values = symbols.float().mul_(ONE).add_(prediction.means)
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
        return self.known / ONE
