from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from cdsrcodec.models.cdsr1 import SynthesisTransform
from cdsrcodec.sr.latent import LatentUpscaler
from cdsrcodec.sr.registry import UPSCALE


@pytest.fixture
def upscaler() -> LatentUpscaler:
    torch.manual_seed(0)
    upscaler = LatentUpscaler(SynthesisTransform(), levels=8, blocks=2)
    return upscaler.eval().requires_grad_(False)


def test_a_new_upscaler_is_the_bicubic_enlargement_of_its_synthesis(
    upscaler: LatentUpscaler,
) -> None:
    y_hat, level = torch.randn(2, 224, 1, 2), torch.tensor([0.0, 6.5])
    small = upscaler.synthesis.to_pixels(
        upscaler.synthesis.features4(y_hat, torch.ones(1), torch.ones(1))
    )
    x_sr = upscaler(y_hat, level)
    assert x_sr.shape == (2, 3, 64, 128)
    expected = F.interpolate(small, scale_factor=UPSCALE, mode="bicubic", align_corners=False)
    assert torch.allclose(x_sr, expected, atol=1e-5)


def test_the_base_is_in_float32_whatever_autocast_leaves_of_it(
    upscaler: LatentUpscaler, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def interpolate(x: Tensor, **options: object) -> Tensor:
        seen.append(x.dtype)
        return x.new_zeros(*x.shape[:2], *(UPSCALE * side for side in x.shape[2:]))

    monkeypatch.setattr(F, "interpolate", interpolate)
    with torch.autocast("cpu", torch.bfloat16):
        x_sr = upscaler(torch.randn(1, 224, 1, 1), torch.tensor([3.0]))
    assert seen == [torch.float32]
    assert x_sr.dtype == torch.float32


def test_the_trunk_corrects_the_base(upscaler: LatentUpscaler) -> None:
    y_hat, level = torch.randn(1, 224, 1, 1), torch.tensor([3.0])
    base = upscaler(y_hat, level)
    assert upscaler.tail.bias is not None
    upscaler.tail.bias.copy_(torch.arange(48.0))
    # A pixel shuffle: channel c * 16 + row * 4 + column goes to (row, column) of every cell.
    added = (upscaler(y_hat, level) - base)[0, :, :4, :4]
    assert torch.allclose(added, torch.arange(48.0).reshape(3, 4, 4), atol=1e-4)


@pytest.mark.parametrize("table", ["scale16", "scale8", "trunk_scale"])
def test_each_quality_has_its_own_scales(upscaler: LatentUpscaler, table: str) -> None:
    upscaler.tail.weight += 0.01
    y_hat, level = torch.randn(1, 224, 1, 1), torch.tensor([2.0])
    before = upscaler(y_hat, level)
    rows = getattr(upscaler, table)
    rows[[0, 1, 3, 4, 5, 6, 7]] = 2.0
    assert torch.equal(upscaler(y_hat, level), before)
    rows[2] = 2.0
    assert not torch.allclose(upscaler(y_hat, level), before, atol=1e-3)


def test_the_trunk_has_as_many_blocks_as_asked_for(upscaler: LatentUpscaler) -> None:
    assert len(upscaler.trunk) == 2
