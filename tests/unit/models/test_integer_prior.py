"""The integer networks against their float twins, and the proof that they are exact."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn

from cdsrcodec.codec.loading import EntropyModel
from cdsrcodec.layers.integer import (
    ACTIVATION_LIMIT,
    FLOAT32_LIMIT,
    ONE,
    clamp_activation,
    worst_sums,
)
from cdsrcodec.models.context_prior import (
    SCALE_MIN,
    STEPS,
    ContextPrior,
    HyperSynthesis,
    crop_like,
    gaussian_bits,
    step_masks,
)
from cdsrcodec.models.float_twin import LOG_SCALE_STEP, dequantise_layer
from cdsrcodec.models.integer_layers import (
    GRIDS,
    HEAD_LAYERS,
    INPUTS,
    LAYERS,
    input_grid,
    output_grid,
    stored_grid,
)
from cdsrcodec.models.integer_prior import IntegerPrior, LatentWalk
from cdsrcodec.models.interface import Prediction, hyper_size
from cdsrcodec.models.registry import codec_named, former_entries_of
from cdsrcodec.training.integers import quantise_layer, regrid

PICTURES = ["cat.png", "coffee.png", "rocket.png"]
QUALITIES = [1.0, 4.0, 8.0]


class FloatNetworks(Protocol):
    h_s: HyperSynthesis
    prior: ContextPrior


class CodedPicture(Protocol):
    y_gained: Tensor
    runs: list[NDArray[np.int32]]


Code = Callable[[str, float], CodedPicture]


@pytest.fixture(scope="module")
def tensors() -> dict[str, Tensor]:
    return load_file(codec_named("cdsr1").entropy_file)


@pytest.fixture(scope="module")
def former() -> dict[str, Tensor]:
    """The entropy part of versions up to 0.4.0."""
    (entry,) = former_entries_of("cdsr1")
    return load_file(entry.entropy_file)


def layer_of(tensors: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    return {part: tensors[f"{name}.{part}"] for part in ("weight", "bias", "shift")}


def prior_of(model: EntropyModel) -> IntegerPrior:
    assert isinstance(model.prior, IntegerPrior)
    return model.prior


def z_symbols_of(picture: CodedPicture) -> Tensor:
    size = hyper_size(*picture.y_gained.shape[2:])
    return torch.from_numpy(picture.runs[0].reshape(1, 128, *size))


def float_features(networks: FloatNetworks, model: EntropyModel, picture: CodedPicture) -> Tensor:
    z_hat = z_symbols_of(picture).double() + model.prior.medians / ONE
    return crop_like(networks.h_s(z_hat.float()), picture.y_gained)


def worst_sums_in_python(tensors: dict[str, Tensor], name: str) -> list[int]:
    """The bounds once more, in Python integers."""
    layer, limits = layer_of(tensors, name), input_grid(tensors, name).limit.tolist()
    weights = layer["weight"].flatten(2).tolist()
    return [
        sum(limit * sum(map(abs, taps)) for limit, taps in zip(limits, row, strict=True))
        + abs(bias)
        + (1 << shift - 1)
        for row, bias, shift in zip(
            weights, layer["bias"].tolist(), layer["shift"].tolist(), strict=True
        )
    ]


@pytest.mark.parametrize("name", LAYERS)
def test_no_order_of_additions_can_leave_the_exact_range(
    tensors: dict[str, Tensor], former: dict[str, Tensor], name: str
) -> None:
    for stored, limit in ((tensors, FLOAT32_LIMIT if name in INPUTS else 2**53), (former, 2**53)):
        sums = worst_sums(**layer_of(stored, name), input_limit=input_grid(stored, name).limit)
        assert sums.tolist() == worst_sums_in_python(stored, name)
        assert sums.max() < limit


def test_most_of_the_work_is_done_in_float32(tensors: dict[str, Tensor]) -> None:
    layers = IntegerPrior(tensors).layers
    narrow = {name for name, layer in layers.items() if layer.dtype == torch.float32}
    assert narrow == set(INPUTS)
    work = {name: float(tensors[f"{name}.weight"].numel()) for name in LAYERS}
    # h_s.0 runs at a 16th of the positions, and what is shared, in three steps.
    work["h_s.0"] /= 16
    work["prior.shared.1"] *= 3
    work["prior.shared.3"] *= 3
    assert sum(work[name] for name in narrow) > 0.85 * sum(work.values())


def test_limits_and_bits_of_the_first_release_are_the_common_ones(
    former: dict[str, Tensor],
) -> None:
    for name, channels in GRIDS.items():
        bits, limit = (tensor.tolist() for tensor in stored_grid(former, name))
        assert (bits, limit) == ([8] * channels, [ACTIVATION_LIMIT] * channels)


@pytest.mark.parametrize("name", LAYERS)
def test_a_shipped_layer_survives_the_way_to_float_and_back(
    former: dict[str, Tensor], name: str
) -> None:
    layer = layer_of(former, name)
    weight, bias = dequantise_layer(former, name)
    conv = nn.Conv2d(weight.shape[1], weight.shape[0], weight.shape[2])
    with torch.no_grad():
        conv.weight.copy_(weight)
        assert conv.bias is not None
        conv.bias.copy_(bias)
    again = quantise_layer(conv, is_head=name in HEAD_LAYERS)
    assert {part: tensor.dtype for part, tensor in again.items()} == {
        part: tensor.dtype for part, tensor in layer.items()
    }
    assert [part for part in layer if not torch.equal(again[part], layer[part])] == []


@pytest.mark.parametrize("name", INPUTS)
def test_a_layer_on_grids_survives_the_way_to_float_and_back(
    tensors: dict[str, Tensor], name: str
) -> None:
    weight, bias = dequantise_layer(tensors, name)
    inputs, outputs = input_grid(tensors, name), output_grid(tensors, name)
    again = regrid(weight, bias, inputs, outputs, in_float32=True)
    assert worst_sums(**again, input_limit=inputs.limit).max() < FLOAT32_LIMIT
    # Where rounding once left room for a bit more, the same weights have a larger shift now.
    stored = {**tensors, **{f"{name}.{part}": tensor for part, tensor in again.items()}}
    del stored[f"{name}.drift"]
    for found, expected in zip(dequantise_layer(stored, name), (weight, bias), strict=True):
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("quality", QUALITIES)
@pytest.mark.parametrize("name", PICTURES)
def test_each_step_predicts_what_the_float_networks_predict(
    model: EntropyModel,
    tensors: dict[str, Tensor],
    float_networks: FloatNetworks,
    coded: Code,
    name: str,
    quality: float,
) -> None:
    picture = coded(name, quality)
    features = float_features(float_networks, model, picture)
    walk = LatentWalk(prior_of(model), z_symbols_of(picture), *picture.y_gained.shape[2:])
    units = torch.exp2(stored_grid(tensors, "features").bits.float())[:, None, None]
    assert (walk.features / units - features).abs().max() < 0.5
    for step in range(STEPS):
        prediction = walk.predict(step)
        known = (clamp_activation(walk.known) / ONE).float()
        means, log_scales = float_networks.prior.parameters_at(step, features, known)
        indexes = (log_scales - math.log(SCALE_MIN)) / LOG_SCALE_STEP
        indexes = LatentWalk.gather(step, indexes.round().clamp(0, len(model.gaussian) - 1))
        mean_errors = (prediction.means / ONE - LatentWalk.gather(step, means)).abs()
        index_errors = (prediction.indexes.double() - indexes).abs()
        assert mean_errors.max() < 1
        assert mean_errors.mean() < 0.005
        assert index_errors.max() <= 2
        assert (index_errors > 0).double().mean() < 0.1
        walk.fill(step, prediction, torch.from_numpy(picture.runs[1 + step]))


@pytest.mark.parametrize("quality", QUALITIES)
def test_integers_cost_less_than_half_a_percent_of_rate(
    model: EntropyModel, float_networks: FloatNetworks, coded: Code, quality: float
) -> None:
    integer_bits = float_bits = 0.0
    for name in PICTURES:
        picture = coded(name, quality)
        walk = LatentWalk(prior_of(model), z_symbols_of(picture), *picture.y_gained.shape[2:])
        for step, symbols in enumerate(picture.runs[1:]):
            prediction = walk.predict(step)
            integer_bits += model.gaussian.bits(symbols, prediction.indexes.numpy()).sum()
            walk.fill(step, prediction, torch.from_numpy(symbols))
        # The float prior walks by itself: its own means, its own rounding.
        features = float_features(float_networks, model, picture)
        out = float_networks.prior(features, picture.y_gained)
        float_bits += gaussian_bits(out.y_hat_gained - out.means, out.scales).sum().item()
    assert float_bits > 0
    assert abs(integer_bits / float_bits - 1) < 0.005


def test_a_walk_ends_in_means_plus_symbols(model: EntropyModel) -> None:
    height, width = 5, 6  # neither divides by the hyper-latent's stride
    z_symbols = torch.randint(-3, 4, (1, 128, 2, 2), dtype=torch.int32)
    walk = LatentWalk(prior_of(model), z_symbols, height, width)
    masks = step_masks(224, height, width)
    expected = torch.zeros(1, 224, height, width)
    for step in range(STEPS):
        prediction = walk.predict(step)
        symbols = torch.arange(len(prediction.means), dtype=torch.int32) % 7 - 3
        walk.fill(step, prediction, symbols)
        expected[0][masks[step]] = (prediction.means / ONE + symbols).float()
    assert walk.y_hat_gained().dtype == torch.float32
    assert torch.equal(walk.y_hat_gained(), expected)


@pytest.mark.parametrize("spread", [3, 32767])
@pytest.mark.parametrize("size", [(8, 8), (9, 17), (21, 10), (1, 30), (30, 1), (16, 24)])
def test_a_walk_in_tiles_is_exactly_the_walk_in_one_piece(
    model: EntropyModel, size: tuple[int, int], spread: int
) -> None:
    numbers = torch.Generator().manual_seed(sum(size))

    def draw(*shape: int) -> Tensor:
        return torch.randint(-spread, spread + 1, shape, generator=numbers, dtype=torch.int32)

    z_symbols = draw(1, 128, *hyper_size(*size))
    whole, tiled = (LatentWalk(prior_of(model), z_symbols, *size, core) for core in (128, 8))
    assert whole.features.count_nonzero() > 0
    assert torch.equal(tiled.features, whole.features)
    for step in range(STEPS):
        expected, prediction = whole.predict(step), tiled.predict(step)
        assert torch.equal(prediction.means, expected.means)
        assert torch.equal(prediction.indexes, expected.indexes)
        symbols = draw(len(expected.means))
        whole.fill(step, expected, symbols)
        tiled.fill(step, prediction, symbols)
    assert torch.equal(tiled.y_hat_gained(), whole.y_hat_gained())


def test_what_a_walk_keeps_is_exact(model: EntropyModel) -> None:
    """Against the same arithmetic in float64, at the bounds of means and symbols."""
    walk = LatentWalk(prior_of(model), torch.zeros(1, 128, 1, 1, dtype=torch.int32), 2, 2)
    count = len(walk.predict(0).means)
    for sign in (1, -1):
        means = sign * torch.arange(ACTIVATION_LIMIT - count + 1, ACTIVATION_LIMIT + 1)
        symbols = torch.full((count,), sign * 32767, dtype=torch.int32)
        prediction = Prediction(means.float(), torch.zeros(count, dtype=torch.uint8))
        walk.fill(0, prediction, symbols)
        known = LatentWalk.gather(0, walk.known)
        assert torch.equal(known.double(), means.double() + symbols.double() * ONE)
        y_hat = LatentWalk.gather(0, walk.y_hat_gained())
        assert torch.equal(y_hat.double(), (means.double() + symbols.double() * ONE) / ONE)


def test_extreme_symbols_keep_predictions_in_range(model: EntropyModel) -> None:
    walk = LatentWalk(prior_of(model), torch.full((1, 128, 1, 1), 32767, dtype=torch.int32), 4, 4)
    assert walk.features.abs().max() <= ACTIVATION_LIMIT
    for step in range(STEPS):
        prediction = walk.predict(step)
        assert prediction.means.abs().max() <= ACTIVATION_LIMIT
        assert prediction.indexes.min() >= 0
        assert prediction.indexes.max() < len(model.gaussian)
        assert torch.equal(prediction.means, prediction.means.round())
        sign = -1 if step % 2 else 1
        extreme = torch.full((len(prediction.means),), sign * 32767, dtype=torch.int32)
        walk.fill(step, prediction, extreme)


@pytest.mark.parametrize("size", [(1, 1), (1, 4), (3, 2)])
def test_elements_of_a_step_are_gathered_by_channel_row_and_column(size: tuple[int, int]) -> None:
    y = torch.randn(1, 224, *size)
    for step, mask in enumerate(step_masks(224, *size)):
        assert torch.equal(LatentWalk.gather(step, y), y[0][mask])


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (6, 1)])
def test_a_latent_of_one_row_or_column_is_predicted_whole(
    model: EntropyModel, size: tuple[int, int]
) -> None:
    walk = LatentWalk(
        prior_of(model), torch.zeros(1, 128, *hyper_size(*size), dtype=torch.int32), *size
    )
    counts = [len(walk.predict(step).indexes) for step in range(STEPS)]
    assert counts == [int(mask.sum()) for mask in step_masks(224, *size)]
    assert sum(counts) == 224 * size[0] * size[1]


@pytest.mark.parametrize(
    ("size", "expected"), [((1, 1), (1, 1)), ((4, 5), (1, 2)), ((8, 9), (2, 3))]
)
def test_the_hyper_latent_covers_the_latent(
    size: tuple[int, int], expected: tuple[int, int]
) -> None:
    assert hyper_size(*size) == expected


def test_a_prior_with_a_layer_missing_is_refused(tensors: dict[str, Tensor]) -> None:
    incomplete = {name: t for name, t in tensors.items() if name != "prior.adapt.1.shift"}
    with pytest.raises(KeyError, match=r"prior\.adapt\.1\.shift"):
        IntegerPrior(incomplete)


def test_a_prior_that_could_round_is_refused(tensors: dict[str, Tensor]) -> None:
    inexact = tensors | {"h_s.2.bias": tensors["h_s.2.bias"] + 2**53}
    with pytest.raises(ValueError, match="not exact in float64"):
        IntegerPrior(inexact)
