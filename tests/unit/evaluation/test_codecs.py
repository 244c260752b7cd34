from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cdsrcodec import api
from cdsrcodec.errors import InputImageError, ModelError
from cdsrcodec.evaluation.codecs import CODEC_NAMES, PILLOW_CODECS, LearnedCodec, find_codec
from cdsrcodec.evaluation.metrics import psnr_rgb_db

Picture = NDArray[np.uint8]
AVAILABLE = [name for name, codec in PILLOW_CODECS.items() if codec.missing() is None]


def test_all_but_the_plug_in_come_with_pillow() -> None:
    assert set(PILLOW_CODECS) - set(AVAILABLE) <= {"jxl"}
    assert {"jpeg", "webp", "avif420", "avif444", "jp2"} <= set(CODEC_NAMES)


@pytest.mark.parametrize("name", AVAILABLE)
def test_a_stream_is_the_file_that_pillow_would_write_to_disk(
    name: str, picture: Callable[..., Picture], tmp_path: Path
) -> None:
    x, codec = picture(48, 64), PILLOW_CODECS[name]
    quality = codec.scale.ladder[3]
    stream = codec.encode(x, quality)
    file = tmp_path / "file"
    options = {**dict(codec.options), **codec.quality_options(quality)}
    Image.fromarray(x).save(file, codec.file_format, **options)
    assert file.stat().st_size == len(stream)
    with Image.open(io.BytesIO(stream)) as image:
        assert image.format == codec.file_format
        np.testing.assert_array_equal(np.asarray(image.convert("RGB")), codec.decode(stream))


@pytest.mark.parametrize("name", AVAILABLE)
def test_more_quality_takes_more_bytes_and_keeps_more(
    name: str, picture: Callable[..., Picture]
) -> None:
    x, codec = picture(48, 64), PILLOW_CODECS[name]
    streams = [codec.encode(x, codec.scale.ladder[rung]) for rung in (0, -1)]
    assert len(streams[0]) < len(streams[1])
    low_db, high_db = (psnr_rgb_db(x, codec.decode(stream)) for stream in streams)
    assert low_db < high_db


@pytest.mark.parametrize("name", PILLOW_CODECS)
def test_a_ladder_rises_within_its_scale(name: str) -> None:
    scale = PILLOW_CODECS[name].scale
    assert list(scale.ladder) == sorted(set(scale.ladder))
    assert scale.lowest <= scale.ladder[0] < scale.ladder[-1] <= scale.highest


def test_4_2_0_drops_colour_detail_that_4_4_4_keeps() -> None:
    x = np.zeros((32, 32, 3), np.uint8)
    x[:, ::2] = (255, 0, 0)
    x[:, 1::2] = (0, 0, 255)
    full, reduced = (
        psnr_rgb_db(x, codec.decode(codec.encode(x, 90)))
        for codec in (PILLOW_CODECS["avif444"], PILLOW_CODECS["avif420"])
    )
    assert full > reduced + 10


def test_a_picture_that_the_format_cannot_hold_is_an_error_of_the_picture() -> None:
    too_wide = np.zeros((1, 16_384, 3), np.uint8)
    with pytest.raises(InputImageError, match="webp cannot code it"):
        PILLOW_CODECS["webp"].encode(too_wide, 50)


def test_a_learned_codec_is_called_with_its_effort_and_device(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[dict[str, object]] = []

    def encode(x: Picture, **options: object) -> bytes:
        calls.append(options)
        return b"stream"

    monkeypatch.setattr(api, "encode", encode)
    codec = find_codec("cdsr1:2", device="cpu")
    assert codec.name == "cdsr1:2"
    assert codec.encode(np.zeros((4, 4, 3), np.uint8), 2.5) == b"stream"
    assert calls == [{"quality": 2.5, "codec": "cdsr1", "effort": 2, "device": "cpu"}]


def test_an_effort_that_the_codec_lacks_is_an_error_that_names_it() -> None:
    codec = find_codec("cdsr1:99", device="cpu")
    with pytest.raises(ModelError, match="cdsr1:99 at quality 4: effort"):
        codec.encode(np.zeros((16, 16, 3), np.uint8), 4)


@pytest.mark.parametrize("text", ["jpg", "", "cdsr1:", "cdsr1:fast", "jpeg:2", "cdsr1:-1"])
def test_another_name_is_no_codec(text: str) -> None:
    with pytest.raises(ValueError, match="there is no codec"):
        find_codec(text, device="cpu")


def test_the_description_names_weights_and_library() -> None:
    learned, classical = find_codec("cdsr1", device="cpu"), find_codec("webp", device="cpu")
    assert isinstance(learned, LearnedCodec)
    assert learned.missing() is None
    weights = learned.describe()["weights"]
    assert set(weights) == {"entropy.safetensors", "encoder.safetensors", "decoder.safetensors"}
    assert all(len(digest) == 64 for digest in weights.values())
    assert classical.describe()["library"]
    assert classical.describe() != find_codec("jpeg", device="cpu").describe()
