"""bf16 where it was asked for, or on a GPU that multiplies it."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cdsrcodec.layers import precision
from cdsrcodec.layers.precision import full_fp32, in_precision, resolve_precision

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize("name", ["fp32", "bf16"])
@pytest.mark.parametrize("device", [CPU, CUDA], ids=str)
def test_a_precision_that_is_named_is_taken(name: str, device: torch.device) -> None:
    assert resolve_precision(name, device) == name


def test_auto_is_fp32_on_every_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    capabilities = {"avx512_bf16": True, "amx_bf16": True, "bf16": True}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert resolve_precision("auto", CPU) == "fp32"


@pytest.mark.parametrize(("native", "precision"), [(True, "bf16"), (False, "fp32")])
def test_auto_on_a_gpu_is_bf16_where_it_is_not_emulated(
    monkeypatch: pytest.MonkeyPatch, native: bool, precision: str
) -> None:
    def is_supported(*, including_emulation: bool) -> bool:
        return native or including_emulation

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", is_supported)
    assert resolve_precision("auto", CUDA) == precision


def test_an_unknown_precision_is_an_error() -> None:
    with pytest.raises(ValueError, match="one of auto, fp32, bf16, not 'fp16'"):
        resolve_precision("fp16", CPU)


@torch.inference_mode()
@pytest.mark.parametrize(("name", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_convolutions_are_computed_in_the_precision(name: str, dtype: torch.dtype) -> None:
    conv = nn.Conv2d(1, 1, 1)
    x = torch.rand(1, 1, 2, 2)
    out = in_precision(conv, name, CPU)(x)
    assert out.dtype == dtype
    torch.testing.assert_close(out.float(), conv(x), atol=0.01, rtol=0.01)


def test_an_autocast_of_the_caller_does_not_reach_what_is_to_be_fp32() -> None:
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        out = in_precision(nn.Conv2d(1, 1, 1), "fp32", CPU)(torch.rand(1, 1, 2, 2))
    assert out.dtype == torch.float32


# torch has a switch of its own for convolutions since 2.9, and still the one of all before.
CUDNN = torch.backends.cudnn
SWITCHES: list[tuple[Any, str, object]] = [(CUDNN, "allow_tf32", False)]
if hasattr(CUDNN, "conv"):
    SWITCHES.append((CUDNN.conv, "fp32_precision", "ieee"))


@pytest.fixture(params=SWITCHES, ids=lambda switch: switch[1])
def switch(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> tuple[Any, str, object]:
    """Whose attribute it is, its name, and the value that forbids TF32; used in this test."""
    monkeypatch.setattr(precision, "_TF32", precision.Tf32Switch(*request.param))
    return request.param  # type: ignore[no-any-return]


def test_tf32_is_off_inside_and_as_it_was_after(switch: tuple[Any, str, object]) -> None:
    holder, name, forbidden = switch
    before = getattr(holder, name)
    assert before != forbidden  # the default of torch
    with full_fp32(CUDA):
        assert getattr(holder, name) == forbidden
        with full_fp32(CUDA):
            pass
        assert getattr(holder, name) == forbidden
    assert getattr(holder, name) == before
    with suppress(ZeroDivisionError), full_fp32(CUDA):
        _ = 1 / 0
    assert getattr(holder, name) == before


def test_the_last_thread_that_leaves_allows_tf32_again(switch: tuple[Any, str, object]) -> None:
    holder, name, forbidden = switch
    before = getattr(holder, name)
    first, second = full_fp32(CUDA), full_fp32(CUDA)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert getattr(holder, name) == forbidden
    second.__exit__(None, None, None)
    assert getattr(holder, name) == before


@pytest.mark.filterwarnings("ignore:User provided device_type of 'cuda'")
@pytest.mark.parametrize("device", [CPU, CUDA], ids=str)
def test_networks_run_without_tf32_on_a_gpu(
    switch: tuple[Any, str, object], device: torch.device
) -> None:
    holder, name, forbidden = switch
    seen = []

    def network(x: Tensor) -> Tensor:
        seen.append(getattr(holder, name))
        return x

    in_precision(network, "fp32", device)(torch.zeros(1))
    assert (seen == [forbidden]) is (device == CUDA)
