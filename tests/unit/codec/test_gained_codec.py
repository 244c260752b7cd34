"""`bmshj2018-hyperprior-gain` with its shipped weights, through encoder and decoder."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from cdsrcodec.codec import Target, decode_pixels, decode_symbols, encode_pixels
from cdsrcodec.container import read_stream
from cdsrcodec.models.gained_hyperprior import GAIN_LEVELS
from cdsrcodec.models.registry import CODECS, codec_named

CPU = torch.device("cpu")
CODEC = "bmshj2018-hyperprior-gain"
Crop = Callable[..., NDArray[np.uint8]]


def encode(pixels: NDArray[np.uint8], quality: float | Target = 4) -> bytes:
    return encode_pixels(pixels, quality=quality, codec=CODEC, device=CPU)


def decode(data: bytes) -> NDArray[np.uint8]:
    return decode_pixels(data, sr=1, upscaler="bicubic", device=CPU)


def psnr_db(x_hat: NDArray[np.uint8], x: NDArray[np.uint8]) -> float:
    return float(10 * np.log10(255**2 / np.square(x_hat.astype(float) - x).mean()))


def test_size_and_psnr_rise_with_a_real_quality(crop: Crop) -> None:
    x = crop(160, 144)
    streams = [encode(x, quality) for quality in (1, 2.25, 3.5, 4.75, 6)]
    sizes = [len(data) for data in streams]
    figures = [psnr_db(decode(data), x) for data in streams]
    assert sizes == sorted(set(sizes))
    assert figures == sorted(set(figures))
    assert figures[0] > 24
    assert figures[-1] > figures[0] + 4


def test_the_header_says_which_weights_wrote_it(crop: Crop) -> None:
    header = read_stream(encode(crop(32, 16), 2.5)).header
    assert (header.model_id, header.quality) == (4, 2.5)
    assert header.entropy_tag == codec_named(CODEC).entropy_tag()


@pytest.mark.parametrize("size_px", [(1, 1), (17, 16), (70, 33)])
def test_every_size_comes_back_with_the_symbols_that_were_coded(
    crop: Crop, size_px: tuple[int, int]
) -> None:
    x = crop(*size_px)
    data = encode(x)
    z_run, y_run = decode_symbols(data).runs
    height, width = (-(-side // 16) for side in x.shape[:2])
    assert len(y_run) == 192 * height * width
    assert len(z_run) == 128 * -(-height // 4) * -(-width // 4)
    assert decode(data).shape == x.shape


def test_a_target_is_met_between_whole_qualities(crop: Crop) -> None:
    x = crop(128, 96)
    low, high = (len(encode(x, quality)) for quality in (2, 3))
    target_bytes = (low + high) // 2
    data = encode(x, Target(size_bytes=target_bytes))
    assert 0.95 * target_bytes < len(data) <= target_bytes
    assert 2 < read_stream(data).header.quality < 3


@pytest.mark.parametrize("quality", [0.5, 6.5, 8])
def test_a_quality_that_it_lacks_is_refused(crop: Crop, quality: float) -> None:
    with pytest.raises(ValueError, match=f"quality must be 1 to 6, not {quality}"):
        encode(crop(16, 16), quality)


def test_its_qualities_are_the_rows_of_its_gains() -> None:
    rows = load_file(codec_named(CODEC).entropy_file)["quality.log_gain"]
    assert len(rows) == GAIN_LEVELS == CODECS[CODEC].qualities[-1]
    assert (rows.mean(1).diff() > 0).all()
