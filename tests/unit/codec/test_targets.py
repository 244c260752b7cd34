from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from cdsrcodec.codec import Target, decode_pixels, encode_pixels
from cdsrcodec.codec.targets import encode_to_target
from cdsrcodec.codec.tiles import NEEDS
from cdsrcodec.container import read_stream
from cdsrcodec.errors import LimitError
from cdsrcodec.imageio.fidelity import psnr_db
from cdsrcodec.models.registry import qualities_of

CPU = torch.device("cpu")
QUALITIES = qualities_of("cdsr1")
Crop = Callable[..., NDArray[np.uint8]]
Encode = Callable[..., bytes]


class Encoder:
    """Stands for a codec: its stream of quality q is as long as size_bytes(q) says."""

    def __init__(self, size_bytes: Callable[[float], float]) -> None:
        self.size_bytes = size_bytes
        self.qualities: list[float] = []

    def __call__(self, quality: float) -> bytes:
        self.qualities.append(quality)
        return bytes(int(self.size_bytes(quality)))


def search(encoder: Encoder, **target: float) -> bytes:
    """Of a picture of 800 pixels whose PSNR in dB is a tenth of its bytes."""
    return encode_to_target(
        Target(**target),  # type: ignore[arg-type]
        QUALITIES,
        encoder,
        lambda data: len(data) / 10,
        pixel_count=800,
    )


def rising(quality: float) -> float:
    """100 bytes at quality 1, 5 more each step of 1/32, 1220 bytes at quality 8."""
    return 100 + 160 * (quality - 1)


@pytest.mark.parametrize(
    ("asked_bytes", "found_bytes"), [(100, 100), (104, 100), (105, 105), (777, 775), (9999, 1220)]
)
def test_a_size_gives_the_highest_quality_that_fits(asked_bytes: int, found_bytes: int) -> None:
    encoder = Encoder(rising)
    assert len(search(encoder, size_bytes=asked_bytes)) == found_bytes
    assert len(encoder.qualities) <= 8
    assert len(set(encoder.qualities)) == len(encoder.qualities)


def test_every_size_is_met_within_a_step() -> None:
    for asked_bytes in range(100, 1221):
        assert asked_bytes - 5 < len(search(Encoder(rising), size_bytes=asked_bytes)) <= asked_bytes


def test_bpp_counts_the_whole_stream_over_all_pixels() -> None:
    # 7.77 bpp of 800 pixels are 777 bytes.
    assert len(search(Encoder(rising), bpp=7.77)) == 775


@pytest.mark.parametrize(
    ("asked_db", "found_bytes"), [(1.0, 100), (10.0, 100), (10.1, 105), (77.7, 780), (122.0, 1220)]
)
def test_a_psnr_gives_the_smallest_stream_that_reaches_it(
    asked_db: float, found_bytes: int
) -> None:
    encoder = Encoder(rising)
    assert len(search(encoder, psnr_rgb_db=asked_db)) == found_bytes
    assert len(encoder.qualities) <= 8


def test_a_size_is_never_exceeded_where_sizes_do_not_rise_everywhere() -> None:
    encoder = Encoder(lambda quality: rising(quality) + 12 * math.sin(50 * quality))
    for asked_bytes in range(150, 1200, 30):
        assert asked_bytes - 30 < len(search(encoder, size_bytes=asked_bytes)) <= asked_bytes


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ({"size_bytes": 99}, r"99 bytes cannot .* has 100 bytes \(1\.0000 bpp\), at quality 1"),
        ({"bpp": 0.99}, r"0\.99 bpp cannot .* has 100 bytes \(1\.0000 bpp\), at quality 1"),
        ({"psnr_rgb_db": 122.1}, r"122\.1 dB cannot .* gets 122\.00 dB at quality 8"),
    ],
)
def test_a_target_out_of_reach_says_what_is_nearest(target: dict[str, float], message: str) -> None:
    encoder = Encoder(rising)
    with pytest.raises(LimitError, match=rf"^.*{message}\. hint: ask for that"):
        search(encoder, **target)
    assert len(encoder.qualities) <= 8


def test_the_nearest_values_that_are_named_can_be_reached() -> None:
    # 101 bytes of 777 pixels are 1.03989 bpp, and 66.667 dB are not 66.67.
    size_bytes = Encoder(lambda _: 101)
    with pytest.raises(LimitError, match=r"\(1\.0399 bpp\)"):
        encode_to_target(Target(bpp=0.5), QUALITIES, size_bytes, lambda _: 0, pixel_count=777)
    assert encode_to_target(Target(bpp=1.0399), QUALITIES, size_bytes, lambda _: 0, pixel_count=777)
    with pytest.raises(LimitError, match=r"66\.66 dB"):
        encode_to_target(
            Target(psnr_rgb_db=70), QUALITIES, size_bytes, lambda _: 66.667, pixel_count=1
        )


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"size_bytes": 100, "bpp": 1.0},
        {"size_bytes": 0},
        {"bpp": -1.0},
        {"bpp": math.nan},
        {"psnr_rgb_db": math.inf},
    ],
    ids=str,
)
def test_what_is_no_target_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="target"):
        Target(**values)


def test_a_picture_meets_its_size(crop: Crop, encode: Encode) -> None:
    x = crop(64, 48)
    asked_bytes = len(encode(x, 5.0))
    data = encode_pixels(x, quality=Target(size_bytes=asked_bytes), codec="cdsr1", device=CPU)
    quality = read_stream(data).header.quality
    assert 0.98 * asked_bytes < len(data) <= asked_bytes < len(encode(x, quality + 1 / 32))
    # What the qualities share was computed once, and nothing has changed by that.
    assert data == encode(x, quality)


def test_a_picture_meets_its_psnr(crop: Crop, encode: Encode) -> None:
    x = crop(64, 48)

    def psnr_rgb_db(stream: bytes) -> float:
        x_hat = decode_pixels(stream, sr=1, upscaler="latent", device=CPU)
        return psnr_db(np.subtract(x, x_hat, dtype=np.int32))

    asked_db = psnr_rgb_db(encode(x, 5.0))
    data = encode_pixels(x, quality=Target(psnr_rgb_db=asked_db), codec="cdsr1", device=CPU)
    quality = read_stream(data).header.quality
    assert psnr_rgb_db(encode(x, quality - 1 / 32)) < asked_db <= psnr_rgb_db(data) < asked_db + 0.3


def test_what_the_qualities_share_is_the_same_in_tiles(
    monkeypatch: pytest.MonkeyPatch, crop: Crop, encode: Encode
) -> None:
    tiles = NEEDS["cdsr1"]
    small = replace(tiles, analysis=replace(tiles.analysis, core=2))
    monkeypatch.setitem(NEEDS, "cdsr1", small)
    x = crop(64, 48)
    data = encode_pixels(x, quality=Target(bpp=2.0), codec="cdsr1", device=CPU)
    assert data == encode(x, read_stream(data).header.quality)
