"""An entropy part of `cdsr1` whose sums stay so small that float32 is exact.

Export gives all activations the same fixed point and a limit far beyond what occurs, and weights
16 bits. Here photographs are coded, each channel gets the limit that was seen, and the 24 bits of
float32 are shared out between weights and activations.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn

from cdsrcodec.codec.analysis import analyse
from cdsrcodec.codec.loading import entropy_model, float_networks
from cdsrcodec.errors import TrainingError
from cdsrcodec.layers.integer import (
    ACTIVATION_LIMIT,
    FLOAT32_LIMIT,
    FRACTION_BITS,
    ONE,
    Grid,
    IntegerConv,
    integer_leaky_relu_,
)
from cdsrcodec.models.context_prior import crop_like
from cdsrcodec.models.float_twin import FloatTwin, dequantise_layer
from cdsrcodec.models.integer_layers import GRIDS, INPUTS, KNOWN, input_grid, output_grid
from cdsrcodec.models.registry import CodecEntry, codec_named
from cdsrcodec.training.integers import regrid
from cdsrcodec.training.patches import ImageFolder, middles
from cdsrcodec.training.storage import write_tensors

PHOTOGRAPHS = 96  # of the folder, evenly spaced by name
SIDE_PX = 256  # of their middles
LEVELS = (0.0, 7.0)
"""The first says what is common, since errors weigh most where symbols are few and small; both say
what is possible."""
_FIRST_LAYER = "h_s.0"  # puts out a grid; its input has none, and it takes little of the time
_EXTRA_BITS = 2
"""Of activations, beyond what the balance of errors gives. Those of weights are the same at all
positions, like another training's, and measured to cost next to no rate; these do cost."""
_ROOM = 1.5  # of a limit, beyond what was seen
_BITS = range(13)
_LEAST_POWER = 1e-12  # of a channel that is always 0


class Activity:
    """What was seen of the input channels of a layer.

    Attributes:
        largest: (in,) of the magnitude, at all levels.
        power: (in,) sum over inputs of the mean square, at the first level.
        drift: (_BITS, in) sum over inputs of what rounding to so many bits adds on average, at
            the first level.
        count: of inputs at the first level.
    """

    def __init__(self) -> None:
        self.largest = self.power = self.drift = torch.zeros(1, dtype=torch.float64)
        self.count = 0

    def see(self, x: Tensor, level: float) -> None:
        """Add an input (1, in, h, w)."""
        x = x.double()
        self.largest = torch.maximum(self.largest, x.abs().amax((0, 2, 3)))
        if level == LEVELS[0]:
            self.power = self.power + x.square().mean((0, 2, 3))
            drifts = [(rounded(x, bits) - x).mean((0, 2, 3)) for bits in _BITS]
            self.drift = self.drift + torch.stack(drifts)
            self.count += 1


def rounded(x: Tensor, bits: int) -> Tensor:
    """Output of a leaky ReLU, as the integer layers make it with so many fraction bits."""
    before = torch.where(x < 0, 8 * x, x)
    after: Tensor = integer_leaky_relu_((before * 2**bits + 0.5).floor()) / 2**bits
    return after


def calibrate(weights: Path, photographs: Path, target: Path) -> dict[str, int]:
    """Write an entropy part for float32, of another tag, from one of an exported codec.

    Tables and gains stay as they are, and so do the encoder and the decoder, to which it fits.

    Args:
        weights: folder of a codec's exported files.
        photographs: folder of pictures of at least SIDE_PX a side.
        target: file that is written.

    Returns:
        The largest |sum| of each layer that is written; below 2^24, where float32 is exact, but
        for the first one.

    Raises:
        ModelError: the weights are missing or damaged.
        InputImageError, FileAccessError: no pictures, or they cannot be read.
        TrainingError: a layer does not fit into float32.
        FileAccessError: the target cannot be written.
    """
    shipped = codec_named("cdsr1")
    entry = CodecEntry(shipped.name, shipped.model_id, weights)
    metadata = entropy_model(entry).metadata  # which also checks that the file is there
    tensors = load_file(entry.entropy_file)
    layers = {name: dequantise_layer(tensors, name) for name in (_FIRST_LAYER, *INPUTS)}
    activities = _activities(entry, ImageFolder(photographs, min_side_px=SIDE_PX))
    for name in GRIDS:
        grid = _grid(name, layers, activities)
        tensors[f"grid.{name}.bits"] = grid.bits.to(torch.uint8)
        tensors[f"grid.{name}.limit"] = grid.limit.to(torch.int32)
    bounds: dict[str, int] = {}
    for name, (weight, bias) in layers.items():
        inputs, outputs = input_grid(tensors, name), output_grid(tensors, name)
        drift = _drift(name, weight, inputs, activities[name]) if name in INPUTS else 0 * bias
        try:
            layer = regrid(weight, bias - drift, inputs, outputs, in_float32=name in INPUTS)
            conv = IntegerConv(
                layer["weight"],
                layer["bias"],
                layer["shift"],
                input_limit=inputs.limit,
                output_limit=outputs.limit,
            )
        except ValueError as error:
            raise TrainingError(f"{name}: {error}. hint: export a run that did well") from error
        layer["drift"] = (drift * torch.exp2(layer["shift"] + outputs.bits)).round().long()
        tensors |= {f"{name}.{part}": tensor for part, tensor in layer.items()}
        bounds[name] = conv.bound
    write_tensors(target, tensors, metadata)
    return bounds


def _activities(entry: CodecEntry, images: ImageFolder) -> dict[str, Activity]:
    """Of the inputs of the layers of INPUTS, while photographs are coded at all LEVELS."""
    twin = float_networks(entry, torch.device("cpu"))
    pictures = middles(images, PHOTOGRAPHS, SIDE_PX)
    activities = {name: Activity() for name in INPUTS}
    for level in LEVELS:
        with ExitStack() as hooks:
            for name, activity in activities.items():
                see = partial(_see, activity, level)
                hooks.enter_context(_layer_of(twin, name).register_forward_pre_hook(see))
            for pixels in pictures:
                _code(entry, twin, pixels, level)
    return activities


def _see(activity: Activity, level: float, _: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    activity.see(inputs[0], level)


def _layer_of(twin: FloatTwin, name: str) -> nn.Module:
    network, _, path = name.partition(".")
    module: nn.Module = twin._asdict()[network].get_submodule(path)
    return module


@torch.inference_mode()
def _code(entry: CodecEntry, twin: FloatTwin, pixels: NDArray[np.uint8], level: float) -> None:
    """Run the float entropy networks as coding (H, W, 3) pixels does."""
    y_gained, z = analyse(entry, pixels, level, torch.device("cpu"))
    medians = (entropy_model(entry).prior.medians / ONE).float()
    z_hat = (z - medians).round() + medians
    twin.prior(crop_like(twin.h_s(z_hat), y_gained), y_gained)


def _drift(name: str, weight: Tensor, inputs: Grid, activity: Activity) -> Tensor:
    """(out,) what the rounding of a layer's input adds to its output on average."""
    drift = activity.drift.gather(0, inputs.bits[None])[0] / activity.count
    if KNOWN in INPUTS[name]:  # comes out of no leaky ReLU, and is rounded either way
        drift[-GRIDS[KNOWN] :] = 0
    return weight.double().sum((2, 3)) @ drift


def _grid(
    name: str, layers: Mapping[str, tuple[Tensor, Tensor]], activities: Mapping[str, Activity]
) -> Grid:
    """The grid that makes the error of the layers behind it least, as far as 24 bits go.

    Finer activations leave fewer bits to weights, since limits grow with them. Of channel c, with
    2^b activations a unit and s_o weights a unit of output o, rounding gives the error

        sum over o of (taps * power_c / s_o^2 * 4^b + |w_oc|^2 / 4^b) / power_o

    relative to the power of the outputs, which is least where both parts are equal.
    """
    coarse = fine = torch.zeros(1, dtype=torch.float64)
    largest = torch.zeros(GRIDS[name], dtype=torch.float64)
    for layer, grids in INPUTS.items():
        if name not in grids:
            continue
        weight, activity = layers[layer][0].double(), activities[layer]
        start = sum(GRIDS[other] for other in grids[: grids.index(name)])
        part = slice(start, start + GRIDS[name])
        power = activity.power.clamp(min=_LEAST_POWER)
        squares = weight.square().sum((2, 3))
        output_power = squares @ power
        scales = FLOAT32_LIMIT / (weight.abs().sum((2, 3)) @ (_ROOM * activity.largest))
        taps = weight.shape[2] * weight.shape[3]
        coarse = coarse + (squares[:, part] / output_power[:, None]).sum(0)
        fine = fine + taps * power[part] * (1 / (scales.square() * output_power)).sum()
        largest = torch.maximum(largest, activity.largest[part])
    most = FRACTION_BITS if name == KNOWN else _BITS[-1]
    bits = (torch.log2(coarse / fine) / 4 + _EXTRA_BITS).round().clamp(0, most).long()
    limit = (_ROOM * largest * torch.exp2(bits.double())).ceil().clamp(1, ACTIVATION_LIMIT)
    return Grid(bits, limit.long())
