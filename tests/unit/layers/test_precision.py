"""bf16 where it was asked for, or where the hardware multiplies it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from cdsrcodec.layers.precision import in_precision, resolve_precision

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize("name", ["fp32", "bf16"])
@pytest.mark.parametrize("device", [CPU, CUDA], ids=str)
def test_a_precision_that_is_named_is_taken(name: str, device: torch.device) -> None:
    assert resolve_precision(name, device) == name


@pytest.mark.parametrize(
    ("capabilities", "precision"),
    [
        ({}, "fp32"),
        ({"avx512_bf16": False, "avx512f": True}, "fp32"),
        ({"avx512_bf16": True}, "bf16"),
        ({"amx_bf16": True}, "bf16"),
        ({"bf16": True}, "bf16"),
    ],
)
def test_auto_on_a_cpu_is_bf16_where_it_multiplies_it(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, bool], precision: str
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert resolve_precision("auto", CPU) == precision


def test_auto_is_fp32_where_torch_cannot_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
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
