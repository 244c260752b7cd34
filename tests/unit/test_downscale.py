"""encode --downscale 4, and --sr 4 that gives the size back."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import ExifTags, Image

import cdsrcodec
from cdsrcodec.chunks.facts import pack_full_size, unpack_full_size
from cdsrcodec.cli.main import cli
from cdsrcodec.container import Chunk, read_stream, write_stream
from cdsrcodec.imageio.reader import Picture
from cdsrcodec.imageio.reduction import reduce_picture
from cdsrcodec.imageio.resampling import downscale

CAT = Path(__file__).resolve().parents[2] / "sample_images" / "cat.png"


@pytest.fixture(scope="module")
def image() -> Image.Image:
    """A 90x61 photograph: neither side divides by 4."""
    with Image.open(CAT) as cat:
        return Image.fromarray(np.asarray(cat.convert("RGB").crop((150, 80, 240, 141))))


@pytest.fixture(scope="module")
def data(image: Image.Image) -> bytes:
    return cdsrcodec.encode(image, quality=6, downscale=4, device="cpu")


def test_the_size_comes_back_to_the_pixel_and_every_pixel_to_its_place(
    image: Image.Image, data: bytes
) -> None:
    header = read_stream(data).header
    assert (header.width_px, header.height_px) == (23, 16)
    assert cdsrcodec.decode(data, device="cpu").size == (23, 16)
    enlarged = np.asarray(cdsrcodec.decode(data, sr=4, device="cpu"), dtype=float)
    assert enlarged.shape == (61, 90, 3)
    reference = np.asarray(image, dtype=float)
    error = np.square(enlarged - reference).mean()
    # Shifted by two pixels, which is half of one that was coded, it fits worse.
    assert error < np.square(enlarged[2:, 2:] - reference[:-2, :-2]).mean()
    assert error < np.square(enlarged[:-2, :-2] - reference[2:, 2:]).mean()


@pytest.mark.parametrize("upscaler", ["bicubic", "lanczos"])
def test_every_upscaler_gives_the_size_back(data: bytes, upscaler: str) -> None:
    assert cdsrcodec.decode(data, sr=4, upscaler=upscaler, device="cpu").size == (90, 61)


@pytest.mark.parametrize("size", [(1, 1), (4, 4), (5, 3), (8, 9)])
def test_small_pictures_too(size: tuple[int, int]) -> None:
    data = cdsrcodec.encode(Image.new("RGB", size, "teal"), downscale=4, device="cpu")
    assert cdsrcodec.decode(data, sr=4, device="cpu").size == size


def test_a_format_need_only_hold_the_size_that_is_given_back(tmp_path: Path) -> None:
    stream, target = tmp_path / "x.cdsr", tmp_path / "x.webp"
    stream.write_bytes(cdsrcodec.encode(Image.new("RGB", (16_383, 4)), downscale=4, device="cpu"))
    cdsrcodec.decode_file(stream, target, sr=4, upscaler="bicubic", device="cpu")
    with Image.open(target) as image:
        assert image.size == (16_383, 4)


def test_sides_that_divide_are_reduced_as_pillow_does() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (8, 12, 3), dtype=np.uint8)
    reduced = reduce_picture(Picture(pixels), 4)
    expected = Image.fromarray(pixels).resize((3, 2), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(reduced.pixels, np.asarray(expected))
    assert reduced.full_size_px == (12, 8)


def test_the_last_pixels_continue_a_side_that_does_not_divide() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 8, 3), dtype=np.uint8)
    reduced = reduce_picture(Picture(pixels), 4).pixels
    continued = np.concatenate([pixels, *[pixels[-1:]] * 3])
    np.testing.assert_array_equal(reduced, downscale(continued, 4))


def test_alpha_is_reduced_and_enlarged(image: Image.Image) -> None:
    half = image.copy()
    half.putalpha(Image.linear_gradient("L").resize(image.size))
    data = cdsrcodec.encode(half, downscale=4, device="cpu")
    enlarged = cdsrcodec.decode(data, sr=4, device="cpu")
    assert (enlarged.mode, enlarged.size) == ("RGBA", image.size)
    alpha = [np.asarray(i.getchannel("A"), dtype=float) for i in (half, enlarged)]
    assert np.abs(alpha[0] - alpha[1]).mean() < 4
    reduced = reduce_picture(
        Picture(np.zeros((4, 4, 3), np.uint8), np.full((4, 4), 255, np.uint8)), 4
    )
    assert reduced.alpha is None


def test_resolution_and_exif_are_those_of_the_picture_that_is_given(
    image: Image.Image, tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Kamera"
    exif[ExifTags.Base.XResolution] = 300.0
    exif[ExifTags.Base.ImageWidth] = image.width
    image.save(tmp_path / "in.jpg", dpi=(300, 300), exif=exif)
    cdsrcodec.encode_file(tmp_path / "in.jpg", tmp_path / "x.cdsr", downscale=4, device="cpu")
    told = {}
    for sr, width_px, dpi in ((1, 23, 75), (4, 90, 300)):
        target = tmp_path / f"{sr}.jpg"
        cdsrcodec.decode_file(tmp_path / "x.cdsr", target, sr=sr, device="cpu")  # type: ignore[arg-type]
        with Image.open(target) as decoded:
            assert decoded.info["dpi"] == (dpi, dpi)
            told = dict(decoded.getexif())
        assert told[ExifTags.Base.Make] == "Kamera"
        assert told[ExifTags.Base.XResolution] == dpi
        assert told[ExifTags.Base.ImageWidth] == width_px


def test_the_command_line_reduces_and_tells(image: Image.Image, tmp_path: Path) -> None:
    image.save(tmp_path / "in.png")

    def run(*words: str) -> str:
        result = CliRunner().invoke(cli, [str(tmp_path / w) if "." in w else w for w in words])
        assert result.exit_code == 0, result.output
        return result.output

    assert "23x16 px" in run("encode", "--downscale", "4", "in.png", "x.cdsr")
    assert "full size   90x61 px, of --sr 4\n" in run("info", "x.cdsr")
    assert "90x61 px" in run("decode", "--sr", "4", "x.cdsr", "out.png")
    info = cdsrcodec.info((tmp_path / "x.cdsr").read_bytes())
    assert (info.full_width_px, info.full_height_px) == (90, 61)
    assert [chunk.kind for chunk in info.chunks] == ["full"]


@pytest.mark.parametrize("factor", [0, 2, 3, -4])
def test_other_factors_are_refused(image: Image.Image, factor: Any) -> None:  # noqa: ANN401
    with pytest.raises(ValueError, match="downscale must be 1 or 4"):
        cdsrcodec.encode(image, downscale=factor)


@pytest.mark.parametrize(
    "chunk",
    [
        b"",
        b"\x5a",
        pack_full_size((90, 61)) + b"\0",
        pack_full_size((93, 61)),
        pack_full_size((88, 61)),
        pack_full_size((90, 65)),
        pack_full_size((90, 60)),
        b"\xff\xff\xff\xff\x01" + b"\x3d",
    ],
    ids=bytes.hex,
)
def test_a_size_that_does_not_fit_counts_as_absent(data: bytes, chunk: bytes) -> None:
    stream = read_stream(data)
    with pytest.raises(ValueError, match=r"malformed|reduced from"):
        unpack_full_size(chunk, stream.header)
    broken = write_stream(dataclasses.replace(stream, chunks=(Chunk(b"full", chunk),)))
    assert cdsrcodec.decode(broken, sr=4, upscaler="bicubic", device="cpu").size == (92, 64)
    assert cdsrcodec.info(broken).full_width_px is None
    assert unpack_full_size(pack_full_size((90, 61)), stream.header) == (90, 61)
