from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from cdsrcodec.layers.integer import (
    ACTIVATION_LIMIT,
    EXACT_LIMIT,
    FLOAT32_LIMIT,
    Grid,
    IntegerConv,
    clamp_activation,
    integer_leaky_relu_,
    worst_sums,
)

Layer = tuple[Tensor, Tensor, Tensor]


def random_layer(rng: np.random.Generator, channels: tuple[int, int], side: int) -> Layer:
    """Full-range int16 weights, biases of either sign, a shift for each output channel."""
    out_channels = channels[1]
    weight = rng.integers(-32768, 32768, (out_channels, channels[0], side, side), np.int16)
    bias = rng.integers(-(2**40), 2**40, out_channels)
    shift = rng.integers(14, 24, out_channels, np.uint8)
    return torch.from_numpy(weight), torch.from_numpy(bias), torch.from_numpy(shift)


def random_activations(rng: np.random.Generator, *shape: int) -> Tensor:
    limit = ACTIVATION_LIMIT
    return torch.from_numpy(rng.integers(-limit, limit + 1, (1, *shape))).double()


def reference_conv(x: Tensor, layer: Layer) -> NDArray[np.int64]:
    """clamp((conv + bias + half) >> shift) in Python integers, element by element."""
    weight, bias, shift = (tensor.tolist() for tensor in layer)
    (planes,) = x.long().tolist()
    height, width, side = len(planes[0]), len(planes[0][0]), len(weight[0][0])
    pad = side // 2
    out = np.empty((len(weight), height, width), np.int64)
    for o, row, column in product(*(range(n) for n in out.shape)):
        total = bias[o] + (1 << shift[o] - 1)
        for i, dy, dx in product(range(len(planes)), range(side), range(side)):
            y, x_ = row + dy - pad, column + dx - pad
            if 0 <= y < height and 0 <= x_ < width:
                total += weight[o][i][dy][dx] * planes[i][y][x_]
        # Python's >> rounds towards minus infinity, as the definition asks.
        out[o, row, column] = min(max(total >> shift[o], -ACTIVATION_LIMIT), ACTIVATION_LIMIT)
    return out


@pytest.mark.parametrize("side", [1, 3, 5])
@pytest.mark.parametrize("size", [(7, 4), (1, 1), (1, 9), (6, 1)])
def test_convolution_is_that_of_python_integers(side: int, size: tuple[int, int]) -> None:
    rng = np.random.default_rng(side)
    layer = random_layer(rng, (6, 5), side)
    x = random_activations(rng, 6, *size)
    out = IntegerConv(*layer)(x)
    assert out.dtype == torch.float64
    assert np.array_equal(out[0].numpy(), reference_conv(x, layer))


def test_convolution_is_clamped_at_both_ends() -> None:
    rng = np.random.default_rng(9)
    out = IntegerConv(*random_layer(rng, (6, 5), 3))(random_activations(rng, 6, 9, 9))
    assert out.min() == -ACTIVATION_LIMIT
    assert out.max() == ACTIVATION_LIMIT
    assert (out.abs() < ACTIVATION_LIMIT).double().mean() > 0.2


def test_halves_round_up_on_both_sides_of_zero() -> None:
    weight = torch.ones(1, 1, 1, 1, dtype=torch.int16)
    conv = IntegerConv(weight, torch.tensor([0]), torch.tensor([2], dtype=torch.uint8))
    x = torch.arange(-8, 9).double()[None, None, None]
    #        -8  -7  -6  -5  -4  -3  -2  -1  0  1  2  3  4  5  6  7  8, in quarters
    expected = [-2, -2, -1, -1, -1, -1, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2]
    assert conv(x).flatten().tolist() == expected


def test_bias_counts_in_units_of_the_sum_before_the_shift() -> None:
    weight = torch.zeros(2, 1, 1, 1, dtype=torch.int16)
    bias = torch.tensor([3 << 10, -(3 << 10) - 513])
    conv = IntegerConv(weight, bias, torch.tensor([10, 10], dtype=torch.uint8))
    assert conv(torch.zeros(1, 1, 1, 1, dtype=torch.float64)).flatten().tolist() == [3, -4]


def test_convolution_leaves_its_input_alone() -> None:
    rng = np.random.default_rng(7)
    conv = IntegerConv(*random_layer(rng, (4, 4), 3))
    x = random_activations(rng, 4, 5, 5)
    before = x.clone()
    first = conv(x)
    assert torch.equal(x, before)
    assert torch.equal(conv(x), first)


def test_convolution_takes_slices_of_larger_tensors() -> None:
    rng = np.random.default_rng(8)
    layer = random_layer(rng, (3, 4), 1)
    x = random_activations(rng, 6, 9, 8)[:, 2:5, 1::2, ::2]
    assert np.array_equal(IntegerConv(*layer)(x)[0].numpy(), reference_conv(x, layer))


def test_a_layer_is_exact_up_to_two_to_the_53_and_refused_from_there() -> None:
    weight = torch.zeros(2, 1, 1, 1, dtype=torch.int16)
    shift = torch.tensor([1, 1], dtype=torch.uint8)  # its half adds 1 to the sum
    allowed = torch.tensor([0, EXACT_LIMIT - 2])
    assert IntegerConv(weight, allowed, shift).bound == EXACT_LIMIT - 1
    for bias in (allowed + 1, -allowed - 1):
        with pytest.raises(ValueError, match="not exact in float64"):
            IntegerConv(weight, bias, shift)


@pytest.mark.parametrize("wrong", [0, 25, 255])
def test_a_shift_out_of_range_is_refused(wrong: int) -> None:
    weight, bias = torch.ones(3, 1, 1, 1, dtype=torch.int16), torch.zeros(3, dtype=torch.int64)
    assert IntegerConv(weight, bias, torch.tensor([1, 24, 2], dtype=torch.uint8)).bound > 0
    with pytest.raises(ValueError, match=rf"shifts must be 1 to 24, not \[1, 24, {wrong}\]"):
        IntegerConv(weight, bias, torch.tensor([1, 24, wrong], dtype=torch.uint8))


def test_worst_sum_counts_weights_bias_and_half_of_the_worst_channel() -> None:
    weight = torch.tensor([[[[5]], [[-7]]], [[[-3]], [[0]]]], dtype=torch.int16)
    bias, shift = torch.tensor([-11, 100]), torch.tensor([4, 24], dtype=torch.uint8)
    channels = [12 * ACTIVATION_LIMIT + 11 + 8, 3 * ACTIVATION_LIMIT + 100 + (1 << 23)]
    assert worst_sums(weight, bias, shift).tolist() == channels
    limited = [5 * 10 + 7 * 1000 + 11 + 8, 3 * 10 + 100 + (1 << 23)]
    assert worst_sums(weight, bias, shift, torch.tensor([10, 1000])).tolist() == limited


def narrow_layer(rng: np.random.Generator, side: int) -> tuple[Layer, Tensor]:
    """A layer whose sums may just stay below 2^24, and the limits of its input."""
    limit = torch.from_numpy(rng.integers(1, 3000, 6))
    weight = torch.from_numpy(rng.integers(-9000, 9001, (5, 6, side, side), np.int16)) // side**2
    bias = torch.from_numpy(rng.integers(-(2**19), 2**19, 5))
    shift = torch.from_numpy(rng.integers(1, 14, 5, np.uint8))
    largest = worst_sums(weight, bias, shift, limit)
    weight = (weight * ((FLOAT32_LIMIT - (1 << 21)) / largest)[:, None, None, None]).to(torch.int16)
    return (weight, bias, shift), limit


@pytest.mark.parametrize("side", [1, 3])
@pytest.mark.parametrize("size", [(7, 4), (1, 1), (1, 9), (6, 1)])
def test_float32_gives_the_integers_of_float64(side: int, size: tuple[int, int]) -> None:
    rng = np.random.default_rng(sum(size) + side)
    layer, limit = narrow_layer(rng, side)
    signs = torch.from_numpy(rng.choice([-1, 1], (6, *size)))
    x = (limit[:, None, None] * signs)[None].double()  # at the bounds that the proof assumes
    narrow, wide = (
        IntegerConv(*layer, input_limit=limit, in_float32=allowed) for allowed in (True, False)
    )
    assert 1 << 22 < narrow.bound == wide.bound < FLOAT32_LIMIT
    assert (narrow.dtype, wide.dtype) == (torch.float32, torch.float64)
    expected = reference_conv(x, layer)
    assert np.array_equal(narrow(x)[0].numpy(), expected)
    assert np.array_equal(wide(x.float())[0].numpy(), expected)


def test_a_layer_runs_in_float32_below_two_to_the_24() -> None:
    weight = torch.zeros(1, 1, 1, 1, dtype=torch.int16)
    shift = torch.ones(1, dtype=torch.uint8)  # its half adds 1 to the sum
    for bias, dtype in ((FLOAT32_LIMIT - 2, torch.float32), (FLOAT32_LIMIT - 1, torch.float64)):
        conv = IntegerConv(weight, torch.tensor([bias]), shift)
        assert conv.dtype == dtype
        assert conv(torch.zeros(1, 1, 1, 1)).item() == min(FLOAT32_LIMIT >> 1, ACTIVATION_LIMIT)


def test_each_output_channel_has_a_limit_of_its_own() -> None:
    weight = torch.full((2, 1, 1, 1), 4, dtype=torch.int16)
    bias, shift = torch.zeros(2, dtype=torch.int64), torch.tensor([2, 2], dtype=torch.uint8)
    conv = IntegerConv(weight, bias, shift, output_limit=torch.tensor([3, 50]))
    x = torch.tensor([-99.0, -50, -3, 0, 4, 49, 51])[None, None, None]
    low, high = conv(x)[0, :, 0].tolist()
    assert low == [-3, -3, -3, 0, 3, 3, 3]
    assert high == [-50, -50, -3, 0, 4, 49, 50]


@pytest.mark.parametrize("wrong", [-1, ACTIVATION_LIMIT + 1])
@pytest.mark.parametrize("which", ["input_limit", "output_limit"])
def test_a_limit_out_of_range_is_refused(which: str, wrong: int) -> None:
    layer = random_layer(np.random.default_rng(1), (1, 1), 1)
    limit = torch.tensor([wrong])
    limits = (limit, None) if which == "input_limit" else (None, limit)
    with pytest.raises(ValueError, match=rf"limits must be 0 to 1048576, not \[{wrong}\]"):
        IntegerConv(*layer, input_limit=limits[0], output_limit=limits[1])


def test_a_shuffled_grid_repeats_each_channel() -> None:
    grid = Grid(torch.tensor([8, 5]), torch.tensor([100, 7])).repeat(2)
    assert [tensor.tolist() for tensor in grid] == [[8, 8, 5, 5], [100, 100, 7, 7]]


def test_integer_leaky_relu_is_an_eighth_rounded_below_zero() -> None:
    values = [*range(-70, 70), -ACTIVATION_LIMIT, -ACTIVATION_LIMIT + 3, ACTIVATION_LIMIT]
    expected = [v if v >= 0 else v + 4 >> 3 for v in values]
    assert integer_leaky_relu_(torch.tensor(values).double()).tolist() == expected


def test_activations_are_clamped_to_the_bound_of_the_proof() -> None:
    x = torch.tensor([-3.0 * ACTIVATION_LIMIT, -5, 0, ACTIVATION_LIMIT, ACTIVATION_LIMIT + 1])
    clamped = clamp_activation(x).tolist()
    assert clamped == [-ACTIVATION_LIMIT, -5, 0, ACTIVATION_LIMIT, ACTIVATION_LIMIT]
