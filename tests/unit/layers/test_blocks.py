from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from cdsrcodec.layers.blocks import (
    LEAKY_SLOPE,
    ResidualBlock,
    at_level,
    conv3x3,
    freeze,
    leaky_relu_,
    residual_blocks,
)
from cdsrcodec.layers.padding import pad_to_multiple

TABLE = torch.tensor([[0.0, 10.0], [1.0, 30.0], [5.0, 20.0]])


@pytest.mark.parametrize(
    ("level", "row"),
    [
        (0.0, [0, 10]),
        (1.0, [1, 30]),
        (2.0, [5, 20]),
        (0.5, [0.5, 20]),
        (1.25, [2, 27.5]),
        (-3.0, [0, 10]),
        (9.0, [5, 20]),
    ],
)
def test_a_level_is_interpolated_between_rows_and_clamped(level: float, row: list[float]) -> None:
    assert at_level(TABLE, torch.tensor([level])).flatten().tolist() == row


def test_levels_of_a_batch_are_looked_up_each_for_itself() -> None:
    scales = at_level(TABLE, torch.tensor([2.0, 0.5, 0.0]))
    assert scales.shape == (3, 2, 1, 1)
    assert scales[:, 0, 0, 0].tolist() == [5, 0.5, 0]


def test_leaky_relu_divides_by_eight_below_zero() -> None:
    assert LEAKY_SLOPE == 1 / 8
    assert leaky_relu_(torch.tensor([-8.0, -1, 0, 3])).tolist() == [-1, -0.125, 0, 3]


def test_residual_block_adds_a_small_correction() -> None:
    torch.manual_seed(0)
    block = ResidualBlock(4)
    x = torch.randn(2, 4, 5, 6)
    hidden = F.leaky_relu(F.conv2d(x, block.conv1.weight, block.conv1.bias, padding=1), 0.125)
    expected = x + F.conv2d(hidden, block.conv2.weight, block.conv2.bias, padding=1)
    assert torch.allclose(block(x), expected, atol=1e-6)
    assert block.conv2.weight.std() < 0.2 * block.conv1.weight.std()


def test_residual_blocks_are_a_chain() -> None:
    chain = residual_blocks(3, 2)
    x = torch.randn(1, 3, 4, 4)
    assert len(chain) == 2
    assert torch.equal(chain(x), chain[1](chain[0](x)))


@pytest.mark.parametrize(("stride", "size"), [(1, (7, 5)), (2, (4, 3))])
def test_conv3x3_keeps_the_size_up_to_its_stride(stride: int, size: tuple[int, int]) -> None:
    assert conv3x3(2, 3, stride=stride)(torch.zeros(1, 2, 7, 5)).shape == (1, 3, *size)


def test_frozen_parameters_take_no_gradient() -> None:
    block = ResidualBlock(2)
    freeze(block.parameters())
    assert not any(parameter.requires_grad for parameter in block.parameters())


def test_padding_repeats_the_last_row_and_column() -> None:
    x = torch.arange(6.0).reshape(1, 1, 2, 3)
    padded = pad_to_multiple(x, 4)
    assert padded[0, 0].tolist() == [[0, 1, 2, 2], [3, 4, 5, 5], [3, 4, 5, 5], [3, 4, 5, 5]]


@pytest.mark.parametrize("size", [(4, 8), (1, 1), (5, 4), (3, 9)])
def test_padding_goes_to_the_next_multiple_and_keeps_the_picture(size: tuple[int, int]) -> None:
    x = torch.rand(1, 3, *size)
    padded = pad_to_multiple(x, 4)
    assert padded.shape[2:] == tuple(-(-side // 4) * 4 for side in size)
    assert torch.equal(padded[..., : size[0], : size[1]], x)
    assert (padded is x) == (size == (4, 8))
