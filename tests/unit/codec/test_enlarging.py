"""Upscalers of pixels, for decoded pictures and for others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from cdsrcodec.codec import decode_pixels, decoding, enlarge_pixels, enlarging
from cdsrcodec.codec.decoding import Symbols
from cdsrcodec.codec.tiles import Tiling
from cdsrcodec.errors import ModelError
from cdsrcodec.sr.registry import UpscalerEntry

CPU = torch.device("cpu")
Crop = Callable[[int, int], NDArray[np.uint8]]


class Blur(nn.Module):
    """A smoothed enlargement that sees three pixels each way; keeps the sizes it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.widths: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        self.widths.append(x.shape[-1])
        smooth = nn.functional.avg_pool2d(x, 7, 1, 3, count_include_pad=False)
        return nn.functional.interpolate(smooth, scale_factor=4)


@pytest.mark.parametrize(
    ("name", "resampling"),
    [("bicubic", Image.Resampling.BICUBIC), ("lanczos", Image.Resampling.LANCZOS)],
)
def test_interpolation_is_that_of_pillow(
    crop: Crop, name: str, resampling: Image.Resampling
) -> None:
    x = crop(23, 17)
    expected = np.asarray(Image.fromarray(x).resize((92, 68), resampling))
    enlarged = enlarge_pixels(x, upscaler=name, weights=None, device=CPU)
    np.testing.assert_array_equal(enlarged, expected)


def test_a_decoded_picture_is_enlarged_as_any_other(
    crop: Crop, encode: Callable[..., bytes]
) -> None:
    data = encode(crop(33, 20), 4.0)
    x_hat = decode_pixels(data, sr=1, upscaler="latent", device=CPU)
    enlarged = decode_pixels(data, sr=4, upscaler="lanczos", device=CPU)
    assert enlarged.shape == (80, 132, 3)
    expected = enlarge_pixels(x_hat, upscaler="lanczos", weights=None, device=CPU)
    np.testing.assert_array_equal(enlarged, expected)


def test_esrgan_runs_in_tiles_with_the_weights_that_were_named(
    crop: Crop, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Path | None] = []
    network = Blur()

    def load(weights: Path | None, device: torch.device) -> nn.Module:
        asked.append(weights)
        return network

    monkeypatch.setattr(enlarging, "esrgan_network", load)
    x = crop(50, 16)
    whole = enlarge_pixels(x, upscaler="esrgan", weights=Path("x4.pth"), device=CPU)
    monkeypatch.setattr(enlarging, "ESRGAN", Tiling(core=20, halo=3, bytes_per_position=1))
    tiled = enlarge_pixels(x, upscaler="esrgan", weights=None, device=CPU)
    assert asked == [Path("x4.pth"), None]
    assert network.widths == [50, 23, 26, 13]
    assert whole.shape == (64, 200, 3)
    assert np.abs(tiled.astype(int) - whole).max() <= 1
    blurred = network(torch.from_numpy(x.copy()).permute(2, 0, 1)[None].float())
    np.testing.assert_allclose(whole, blurred[0].permute(1, 2, 0), atol=1)


def test_missing_weights_are_told_before_symbols_are_decoded(
    crop: Crop, encode: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    data = encode(crop(16, 16))
    missing = tmp_path / "missing.safetensors"
    entries = (UpscalerEntry("latent", "cdsr1", missing), UpscalerEntry("edsr", network="edsr"))
    monkeypatch.setattr("cdsrcodec.sr.registry.UPSCALERS", entries)

    def decode_nothing(_data: bytes) -> Symbols:
        raise AssertionError("it took its time")

    monkeypatch.setattr(decoding, "decode_symbols", decode_nothing)
    with pytest.raises(ModelError, match="no weights for the upscaler 'latent' and files of cdsr1"):
        decode_pixels(data, sr=4, upscaler="latent", device=CPU)
    with pytest.raises(ModelError, match=r"missing\.safetensors"):
        decode_pixels(data, sr=4, upscaler="edsr", upscaler_weights=missing, device=CPU)


def test_the_latent_upscaler_reads_no_pixels(crop: Crop) -> None:
    with pytest.raises(ModelError, match="'latent' does not read pictures"):
        enlarge_pixels(crop(8, 8), upscaler="latent", weights=None, device=CPU)
