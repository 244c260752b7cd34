"""Float32 products that are rounded are found out, whatever rounds them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from cdsrcodec.layers.exact_products import float32_is_exact

Round = Callable[[Tensor], Tensor]


def to_tf32(x: Tensor) -> Tensor:
    """The nearest float with 10 bits behind the leading one."""
    return ((x.view(torch.int32) + (1 << 12)) & -(1 << 13)).view(torch.float32)


ROUNDINGS: dict[str, Round] = {
    "bf16": lambda x: x.bfloat16().float(),
    "fp16": lambda x: x.half().float(),
    "tf32": to_tf32,
}


@pytest.fixture
def _medium_precision() -> Iterator[None]:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    yield
    torch.set_float32_matmul_precision(before)


def test_plain_products_are_exact() -> None:
    assert float32_is_exact()
    with torch.inference_mode():
        assert float32_is_exact()


def test_autocast_leaves_products_alone() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        assert float32_is_exact()


@pytest.mark.usefixtures("_medium_precision")
def test_the_answer_holds_under_a_lower_precision_of_torch() -> None:
    """Where the machine has units for it, products are rounded; elsewhere they are not."""
    product = (4095 * torch.eye(224)) @ torch.full((224, 256), 4095.0)
    assert float32_is_exact() == bool((product == 4095**2).all())


@pytest.mark.parametrize("sides", ["left", "right", "both"])
@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_rounded_factors_are_noticed(
    monkeypatch: pytest.MonkeyPatch, rounding: str, sides: str
) -> None:
    addmm_, to_fewer_bits = Tensor.addmm_, ROUNDINGS[rounding]

    def rounded(total: Tensor, left: Tensor, right: Tensor) -> Tensor:
        left = left if sides == "right" else to_fewer_bits(left)
        right = right if sides == "left" else to_fewer_bits(right)
        return addmm_(total, left, right)

    monkeypatch.setattr(Tensor, "addmm_", rounded)
    assert not float32_is_exact()


def test_products_of_two_halves_without_their_smallest_part_are_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    addmm_ = Tensor.addmm_

    def in_halves(total: Tensor, left: Tensor, right: Tensor) -> Tensor:
        coarse_left, coarse_right = (x.bfloat16().float() for x in (left, right))
        addmm_(total, coarse_left, coarse_right)
        addmm_(total, coarse_left, right - coarse_right)
        return addmm_(total, left - coarse_left, coarse_right)

    monkeypatch.setattr(Tensor, "addmm_", in_halves)
    assert not float32_is_exact()
