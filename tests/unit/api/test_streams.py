"""The Python interface in memory: what it takes, gives and refuses."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import cdsrcodec
import cdsrcodec.pillow  # which makes Pillow save them
from cdsrcodec.container import Chunk, read_stream, write_stream
from cdsrcodec.errors import (
    ChecksumError,
    DesyncError,
    DeviceError,
    InputImageError,
    ModelError,
)
from cdsrcodec.models.registry import codec_named
from tests.unit.api.changed_streams import desynchronised, other_symbols, psnr_rgb_db, with_header


class TestEncode:
    def test_an_image_and_its_pixels_give_the_same_stream(
        self, image: Image.Image, pixels: NDArray[np.uint8], data: bytes
    ) -> None:
        assert cdsrcodec.encode(pixels, quality=4.5, device="cpu") == data
        assert cdsrcodec.encode(image.convert("RGBA"), quality=4.5, device="cpu") == data

    def test_pixels_in_any_memory_order_give_the_same_stream(
        self, pixels: NDArray[np.uint8], data: bytes
    ) -> None:
        for same in (
            np.asfortranarray(pixels),
            np.array(pixels[::-1, ::-1, ::-1])[::-1, ::-1, ::-1],
        ):
            assert cdsrcodec.encode(same, quality=4.5, device="cpu") == data

    def test_the_picture_is_left_as_it_was(self, pixels: NDArray[np.uint8]) -> None:
        mine = pixels.copy()
        cdsrcodec.encode(mine, device="cpu")
        assert np.array_equal(mine, pixels)

    def test_quality_is_4_unless_told(self, image: Image.Image) -> None:
        assert cdsrcodec.info(cdsrcodec.encode(image, device="cpu")).quality == 4

    def test_a_target_finds_the_quality(self, image: Image.Image, data: bytes) -> None:
        found = cdsrcodec.encode(image, target_size_bytes=len(data), device="cpu")
        assert len(found) <= len(data)
        assert cdsrcodec.info(found).quality >= 4.5

    def test_a_target_beside_a_quality_or_another_target_is_refused(
        self, image: Image.Image
    ) -> None:
        with pytest.raises(ValueError, match="give a quality or a target, not both"):
            cdsrcodec.encode(image, quality=4.0, target_bpp=1.0)
        with pytest.raises(ValueError, match="a target is one of size, bpp and PSNR, not 2"):
            cdsrcodec.encode(image, target_size_bytes=1000, target_psnr_db=30.0)

    def test_a_grey_image_comes_back_grey(self, image: Image.Image) -> None:
        grey = image.convert("L")
        decoded = cdsrcodec.decode(cdsrcodec.encode(grey, quality=8, device="cpu"), device="cpu")
        assert decoded.mode == "L"
        assert psnr_rgb_db(np.asarray(grey), np.asarray(decoded)) > 32

    @pytest.mark.parametrize(
        "array",
        [
            np.zeros((8, 8, 3), np.float32),
            np.zeros((8, 8, 3), np.int64),
            np.zeros((8, 8, 3), np.bool_),
            np.zeros((8, 8), np.uint8),
            np.zeros((8, 8, 4), np.uint8),
            np.zeros((1, 8, 8, 3), np.uint8),
            np.zeros((0, 8, 3), np.uint8),
        ],
        ids=lambda array: f"{array.dtype}-{array.shape}",
    )
    def test_an_array_that_is_no_picture_is_refused(self, array: NDArray[np.uint8]) -> None:
        with pytest.raises(InputImageError, match=r"must be uint8 \(H, W, 3\), not .* hint: "):
            cdsrcodec.encode(array)

    def test_metadata_to_strip_that_do_not_exist_are_refused(self, image: Image.Image) -> None:
        with pytest.raises(ValueError, match="strip must be of all, exif, xmp, icc, not 'iptc'"):
            cdsrcodec.encode(image, strip={"iptc"}, device="cpu")

    @pytest.mark.parametrize("strip", ["xmp,exif", ("exif", "xmp"), "all", ["all"]])
    def test_metadata_to_strip_are_words_or_one_string(
        self, image: Image.Image, data: bytes, strip: str | list[str]
    ) -> None:
        tagged = image.copy()
        tagged.info["xmp"] = b"<a/>"
        assert cdsrcodec.encode(tagged, quality=4.5, strip=strip, device="cpu") == data

    @pytest.mark.parametrize("name", ["quality", "target_size_bytes", "target_bpp"])
    def test_what_is_no_number_is_named(self, image: Image.Image, name: str) -> None:
        wrong: dict[str, Any] = {name: "4"}
        with pytest.raises(TypeError, match=f"^{name} must be a number, not str$"):
            cdsrcodec.encode(image, **wrong)

    @pytest.mark.parametrize("limit", ["1GB", 2e9])
    def test_a_limit_of_memory_is_a_whole_number(
        self, image: Image.Image, data: bytes, limit: object
    ) -> None:
        wrong: dict[str, Any] = {"max_memory_bytes": limit}
        for work in (
            partial(cdsrcodec.encode, image),
            partial(cdsrcodec.decode, data),
            partial(cdsrcodec.upscale, image),
        ):
            with pytest.raises(TypeError, match="max_memory_bytes must be a whole number of bytes"):
                work(**wrong)

    @pytest.mark.parametrize("quality", [0.5, 9, float("nan")])
    def test_a_quality_out_of_range_is_refused(self, image: Image.Image, quality: float) -> None:
        with pytest.raises(ValueError, match="quality must be 1 to 8"):
            cdsrcodec.encode(image, quality=quality)

    def test_nobody_is_given_a_stream_whose_symbols_do_not_come_back(
        self, monkeypatch: pytest.MonkeyPatch, image: Image.Image
    ) -> None:
        monkeypatch.setattr("cdsrcodec.codec.encoding.decode_symbols", other_symbols)
        file = io.BytesIO()
        for encode in (
            lambda: cdsrcodec.encode(image, device="cpu"),
            lambda: cdsrcodec.encode(image, target_bpp=3.0, device="cpu"),
            lambda: image.save(file, "CDSR"),
        ):
            with pytest.raises(DesyncError, match="other symbols"):
                encode()
        assert file.getvalue() == b""

    def test_the_symbols_are_decoded_again_once(
        self, monkeypatch: pytest.MonkeyPatch, image: Image.Image, picture: Path, tmp_path: Path
    ) -> None:
        decoded: list[bytes] = []
        monkeypatch.setattr("cdsrcodec.codec.encoding.decode_symbols", decoded.append)
        data = cdsrcodec.encode(image, device="cpu")
        assert decoded == [data]
        cdsrcodec.encode_file(picture, tmp_path / "out.cdsr", device="cpu")
        assert decoded == [data, data]

    def test_effort_is_told_step_by_step(self, image: Image.Image, data: bytes) -> None:
        steps: list[tuple[int, int]] = []
        refined = cdsrcodec.encode(
            image, quality=4.5, effort=1, device="cpu", on_step=lambda *step: steps.append(step)
        )
        assert steps[-1] == (10, 10)
        assert cdsrcodec.info(refined).quality == 4.5
        assert cdsrcodec.encode(image, quality=4.5, effort=0, device="cpu") == data

    def test_an_effort_may_be_a_float_that_is_whole(self, image: Image.Image) -> None:
        # As json and numpy hand numbers over.
        data = cdsrcodec.encode(image, effort=1.0, device="cpu")  # type: ignore[arg-type]
        assert data == cdsrcodec.encode(image, effort=1, device="cpu")

    def test_an_effort_out_of_range_is_refused(self, image: Image.Image) -> None:
        with pytest.raises(ValueError, match="effort must be 0 to 9, not 10"):
            cdsrcodec.encode(image, effort=10)

    def test_an_unknown_codec_or_device_is_refused(self, image: Image.Image) -> None:
        with pytest.raises(ModelError, match="no codec 'jpeg'"):
            cdsrcodec.encode(image, codec="jpeg")
        with pytest.raises(DeviceError, match="no device 'tpu'"):
            cdsrcodec.encode(image, device="tpu")


class TestDecode:
    def test_the_picture_comes_back(self, pixels: NDArray[np.uint8], data: bytes) -> None:
        decoded = cdsrcodec.decode(data, device="cpu")
        assert decoded.mode == "RGB"
        assert decoded.size == (48, 36)
        assert psnr_rgb_db(pixels, np.asarray(decoded)) > 26

    def test_sr_4_is_four_times_as_large(self, data: bytes) -> None:
        decoded = cdsrcodec.decode(data, sr=4, device="cpu")
        assert decoded.mode == "RGB"
        assert decoded.size == (192, 144)

    def test_what_cannot_be_decoded_is_refused(self, data: bytes) -> None:
        with pytest.raises(ValueError, match="sr must be 1 or 4, not 2"):
            cdsrcodec.decode(data, sr=2)  # type: ignore[arg-type]
        with pytest.raises(ModelError, match="upscaler 'magic'"):
            cdsrcodec.decode(data, sr=4, upscaler="magic")
        with pytest.raises(DeviceError, match="no device 'gpu'"):
            cdsrcodec.decode(data, device="gpu")
        with pytest.raises(DesyncError):
            cdsrcodec.decode(desynchronised(data), device="cpu")
        with pytest.raises(ModelError, match="model 9"):
            cdsrcodec.decode(with_header(data, model_id=9))


class TestInfo:
    def test_it_tells_what_the_header_says(self, data: bytes) -> None:
        info = cdsrcodec.info(data)
        assert info == cdsrcodec.StreamInfo(
            version=1,
            codec="cdsr1",
            model_id=1,
            entropy_tag=codec_named("cdsr1").entropy_tag().hex(),
            installed=True,
            weights_error=None,
            quality=4.5,
            width_px=48,
            height_px=36,
            stream_bytes=len(data),
            header_bytes=21,
            payload_bytes=len(data) - 21,
            bpp=8 * len(data) / (48 * 36),
            source=None,
            full_width_px=None,
            full_height_px=None,
            chunks=(),
        )

    def test_chunks_are_listed_and_counted_with_the_header(self, data: bytes) -> None:
        chunks = (Chunk(b"exif", b"abc"), Chunk(b"orig", b""))
        longer = write_stream(dataclasses.replace(read_stream(data), chunks=chunks))
        info = cdsrcodec.info(longer)
        assert [dataclasses.astuple(chunk) for chunk in info.chunks] == [
            ("exif", 3, False),
            ("orig", 0, False),
        ]
        assert info.header_bytes == 21 + 1 + (4 + 1 + 3) + (4 + 1)
        assert info.payload_bytes == len(data) - 21
        assert info.bpp == 8 * len(longer) / (48 * 36)

    def test_it_checks_the_bytes_but_decodes_nothing(self, data: bytes) -> None:
        assert cdsrcodec.info(desynchronised(data)).width_px == 48
        with pytest.raises(ChecksumError):
            cdsrcodec.info(data[:-1])

    def test_it_needs_no_weights_and_tells_whether_they_are_here(self, data: bytes) -> None:
        info = cdsrcodec.info(with_header(data, model_id=9))
        assert (info.codec, info.model_id, info.installed, info.width_px) == (None, 9, False, 48)
        assert "model 9, which this version does not have" in (info.weights_error or "")


class TestBytes:
    @pytest.mark.parametrize("kind", [bytearray, memoryview, partial(np.frombuffer, dtype="u1")])
    def test_a_stream_may_be_anything_like_bytes(
        self, data: bytes, kind: Callable[[bytes], Any]
    ) -> None:
        assert cdsrcodec.info(kind(data)) == cdsrcodec.info(data)
        assert cdsrcodec.decode(kind(data), device="cpu").size == (48, 36)

    @pytest.mark.parametrize("kind", [str, Path])
    def test_the_name_of_a_file_is_no_stream(
        self, stream: Path, kind: Callable[[Path], Any]
    ) -> None:
        message = "data must be the bytes of a stream, not .*. hint: {} takes a path"
        with pytest.raises(TypeError, match=message.format("decode_file")):
            cdsrcodec.decode(kind(stream))
        with pytest.raises(TypeError, match=message.format("info_file")):
            cdsrcodec.info(kind(stream))
