"""Pictures of every mode with all they carry, from file to file through a stream.

What is compared is what Pillow reads from the source with what it reads from the result.
"""

from __future__ import annotations

import dataclasses
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import ExifTags, Image, ImageCms
from PIL.PngImagePlugin import PngInfo

import cdsrcodec
from cdsrcodec.cli.main import cli
from cdsrcodec.container import Chunk, read_stream, write_stream
from cdsrcodec.errors import FormatError, InputImageError

CAT = Path(__file__).resolve().parents[2] / "sample_images" / "cat.png"
XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6" '
    b'dc:title="Katze"/></x:xmpmeta>'
)


@pytest.fixture(scope="module")
def image() -> Image.Image:
    """A 32x24 photograph, without the metadata of its file."""
    with Image.open(CAT) as cat:
        return Image.fromarray(np.asarray(cat.convert("RGB").crop((150, 80, 182, 104))))


@pytest.fixture(scope="module")
def soft_alpha(image: Image.Image) -> Image.Image:
    """A plane with every value from hidden to opaque."""
    return Image.linear_gradient("L").resize(image.size)


@pytest.fixture(scope="module")
def mask(soft_alpha: Image.Image) -> Image.Image:
    return soft_alpha.point(lambda value: 255 if value > 100 else 0)


@cache  # a profile holds the second in which it was made
def swapped_profile() -> bytes:
    """A small RGB profile that is far from sRGB: with its red and blue exchanged."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile.replace(b"rXYZ", b"tmpZ").replace(b"bXYZ", b"rXYZ").replace(b"tmpZ", b"bXYZ")


def exif_block() -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Kamera"
    exif[ExifTags.Base.Orientation] = 6
    exif[ExifTags.Base.XResolution] = 300.0
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ExifImageWidth] = 24
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSAltitude] = 1234.5
    return exif.tobytes()


def xmp_text() -> PngInfo:
    texts = PngInfo()
    texts.add_itxt("XML:com.adobe.xmp", XMP.decode())
    return texts


def in_mode(image: Image.Image, mode: str) -> Image.Image:
    """The RGB image in a mode, opaque."""
    grey = np.asarray(image.convert("L"))
    if mode == "I;16":
        return Image.fromarray(grey.astype(np.uint16) * 257)
    if mode == "F":
        return Image.fromarray(grey.astype(np.float32) / 255)
    if mode == "PA":
        return image.convert("P").convert("PA")
    if mode == "LAB":
        srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        converted = ImageCms.profileToProfile(image, srgb, lab, outputMode="LAB")
        assert converted is not None
        return converted
    return image.convert(mode)


def reopened(path: Path) -> Image.Image:
    with Image.open(path) as image:
        image.load()
        return image


def through(
    source: Path, target: Path, *, quality: float = 4.0, sr: Literal[1, 4] = 1
) -> Image.Image:
    """The result of encode_file and decode_file, as Pillow reads it."""
    stream = source.with_suffix(".cdsr")
    cdsrcodec.encode_file(source, stream, quality=quality, device="cpu")
    cdsrcodec.decode_file(stream, target, sr=sr, device="cpu")
    return reopened(target)


@pytest.mark.parametrize(
    ("suffix", "sr"),
    [(".png", 1), (".webp", 1), (".tif", 1), (".jp2", 1), (".qoi", 1), (".tga", 1), (".png", 4)],
)
def test_alpha_is_lossless_at_1x_and_enlarged_at_4x(
    image: Image.Image, soft_alpha: Image.Image, tmp_path: Path, suffix: str, sr: Literal[1, 4]
) -> None:
    image = image.copy()
    image.putalpha(soft_alpha)
    image.save(tmp_path / "in.png")
    result = through(tmp_path / "in.png", tmp_path / f"out{suffix}", sr=sr)
    assert result.mode == "RGBA"
    assert result.size == (32 * sr, 24 * sr)
    alpha = np.asarray(result.getchannel("A"), dtype=int)
    if sr == 1:
        assert np.array_equal(alpha, np.asarray(soft_alpha))
    reduced = np.asarray(result.getchannel("A").resize((32, 24), Image.Resampling.BOX), dtype=int)
    assert np.abs(reduced - np.asarray(soft_alpha, dtype=int)).max() <= 3


def test_a_mask_stays_a_mask_at_4x(image: Image.Image, mask: Image.Image) -> None:
    masked = image.copy()
    masked.putalpha(mask)
    data = cdsrcodec.encode(masked, device="cpu")
    enlarged = cdsrcodec.decode(data, sr=4, device="cpu").getchannel("A")
    assert {value for _, value in enlarged.getcolors() or ()} == {0, 255}
    visible_share = np.mean(np.asarray(enlarged)) / np.mean(np.asarray(mask))
    assert visible_share == pytest.approx(1, abs=0.05)


def test_colours_that_no_one_sees_cost_nothing(image: Image.Image, mask: Image.Image) -> None:
    noise = Image.effect_noise(image.size, 200).convert("RGB")
    hidden_noise = Image.composite(image, noise, mask)
    flat = Image.composite(image, Image.new("RGB", image.size, "lime"), mask)
    for picture in (hidden_noise, flat):
        picture.putalpha(mask)
    assert cdsrcodec.encode(hidden_noise, device="cpu") == cdsrcodec.encode(flat, device="cpu")


@pytest.mark.parametrize(
    ("mode", "suffix", "decoded_mode", "source"),
    [
        ("1", ".png", "L", "L;1"),
        ("L", ".png", "L", "L;8"),
        ("L", ".jpg", "L", "L;8"),
        ("LA", ".png", "LA", "L;8"),
        ("I;16", ".png", "L", "L;16"),
        ("F", ".tif", "L", "L;32"),
        ("P", ".gif", "RGB", "P;8"),
        ("PA", None, "RGBA", "P;8"),
        ("RGB", ".bmp", "RGB", None),
        ("RGBA", ".png", "RGBA", None),
        ("CMYK", ".tif", "RGB", "CMYK;8"),
        ("YCbCr", None, "RGB", "YCbCr;8"),
        ("LAB", ".tif", "RGB", "LAB;8"),
    ],
)
def test_every_mode_comes_back_in_the_nearest_8_bit_one(
    image: Image.Image,
    soft_alpha: Image.Image,
    tmp_path: Path,
    mode: str,
    suffix: str | None,
    decoded_mode: str,
    source: str | None,
) -> None:
    picture = in_mode(image, mode)
    if "A" in mode.removeprefix("LAB"):
        picture.putalpha(soft_alpha)
    if suffix is None:  # no format holds it, or not with every version of Pillow
        data = cdsrcodec.encode(picture, quality=6, device="cpu")
        result = cdsrcodec.decode(data, device="cpu")
    else:
        path = tmp_path / f"in{suffix}"
        picture.save(path)
        result = through(path, tmp_path / "out.png", quality=6)
        data = path.with_suffix(".cdsr").read_bytes()
    assert result.mode == decoded_mode
    assert cdsrcodec.info(data).source == source
    seen = picture if mode == "1" else image.convert("L" if "L" in decoded_mode else "RGB")
    expected = np.asarray(seen.convert("RGB"), dtype=int)
    error = np.abs(np.asarray(result.convert("RGB"), dtype=int) - expected)
    # One bit is noise to the codec.
    assert np.median(error) < (90 if mode == "1" else 16)


@pytest.mark.parametrize(
    ("suffix", "sr"),
    [(".jpg", 1), (".png", 1), (".webp", 1), (".tif", 1), (".avif", 1), (".jpg", 4), (".tif", 4)],
)
def test_metadata_come_back_as_pillow_read_them(
    image: Image.Image, tmp_path: Path, suffix: str, sr: Literal[1, 4]
) -> None:
    source = tmp_path / "in.jpg"
    lying = image.transpose(Image.Transpose.ROTATE_90)  # upright again by orientation 6
    lying.save(
        source,
        quality=95,
        exif=exif_block(),
        xmp=XMP,
        icc_profile=swapped_profile(),
        dpi=(300, 150),
    )
    result = through(source, tmp_path / f"out{suffix}", sr=sr)
    assert result.size == (32 * sr, 24 * sr)
    assert result.info["icc_profile"] == swapped_profile()
    assert result.info["xmp"] == XMP.replace(b'Orientation="6"', b'Orientation="1"')
    exif = result.getexif()
    assert exif[ExifTags.Base.Make] == "Kamera"
    assert exif.get(ExifTags.Base.Orientation, 1) == 1
    assert exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSAltitude] == 1234.5
    assert exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ExifImageWidth] == 32 * sr
    if suffix in {".jpg", ".png", ".tif"}:  # WebP and AVIF have no place for it but EXIF
        # The picture was turned, and its resolutions with it.
        assert result.info["dpi"] == pytest.approx((150 * sr, 300 * sr), abs=0.02)
    else:
        assert exif[ExifTags.Base.XResolution] == 300 * sr


def test_colours_survive_the_way_to_srgb_and_back(image: Image.Image, tmp_path: Path) -> None:
    source = tmp_path / "in.png"
    image.save(source, icc_profile=swapped_profile())
    tagged = through(source, tmp_path / "out.png", quality=8)
    cdsrcodec.decode_file(source.with_suffix(".cdsr"), tmp_path / "out.bmp", device="cpu")
    untagged = reopened(tmp_path / "out.bmp")
    assert tagged.info["icc_profile"] == swapped_profile()
    # In the space of the source the samples are those of the source ...
    error = np.abs(np.asarray(tagged, dtype=int) - np.asarray(image, dtype=int))
    assert np.median(error) < 12
    # ... and a file that cannot say which space it is in holds sRGB.
    assert "icc_profile" not in untagged.info
    assert np.abs(np.asarray(untagged, dtype=int) - np.asarray(tagged, dtype=int)).mean() > 12


@pytest.mark.parametrize(
    ("strip", "kept"),
    [
        ([], {"exif", "xmp", "icc_profile", "dpi"}),
        (["--strip", "exif"], {"xmp", "icc_profile", "dpi"}),
        (["--strip", "xmp,icc"], {"exif", "dpi"}),
        (["--strip", "xmp", "--strip", "icc"], {"exif", "dpi"}),
        (["--strip", "all"], set()),
    ],
)
def test_what_is_stripped_is_gone_and_nothing_else(
    image: Image.Image, tmp_path: Path, strip: list[str], kept: set[str]
) -> None:
    source, stream = tmp_path / "in.png", tmp_path / "x.cdsr"
    options: dict[str, Any] = {"exif": exif_block(), "icc_profile": swapped_profile()}
    image.save(source, dpi=(300, 300), pnginfo=xmp_text(), **options)
    result = CliRunner().invoke(cli, ["encode", *strip, str(source), str(stream)])
    assert result.exit_code == 0
    decoded = cdsrcodec.decode(stream.read_bytes(), device="cpu")
    assert set(decoded.info) == kept


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".bmp", ".ppm"])
def test_alpha_for_a_format_without_it_is_refused_before_decoding(
    image: Image.Image,
    soft_alpha: Image.Image,
    tmp_path: Path,
    suffix: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    transparent = image.copy()
    transparent.putalpha(soft_alpha)
    stream, target = tmp_path / "x.cdsr", tmp_path / f"x{suffix}"
    stream.write_bytes(cdsrcodec.encode(transparent, device="cpu"))
    monkeypatch.setattr("cdsrcodec.codec.decode_picture", None)
    with pytest.raises(InputImageError, match=r"which \w+ files cannot hold\. hint: write a \.png"):
        cdsrcodec.decode_file(stream, target)
    assert list(tmp_path.iterdir()) == [stream]


def with_chunk(data: bytes, chunk: Chunk) -> bytes:
    stream = read_stream(data)
    return write_stream(dataclasses.replace(stream, chunks=(*stream.chunks, chunk)))


def test_a_malformed_alpha_plane_is_refused_by_all_that_decode(
    image: Image.Image, tmp_path: Path
) -> None:
    path = tmp_path / "x.cdsr"
    path.write_bytes(with_chunk(cdsrcodec.encode(image, device="cpu"), Chunk(b"ALPH", b"\x08x")))
    assert cdsrcodec.info_file(path).chunks[0].critical  # which decodes nothing
    for read in (
        cdsrcodec.verify_file,
        lambda path: cdsrcodec.decode_file(path, tmp_path / "x.png", device="cpu"),
        lambda path: cdsrcodec.decode(path.read_bytes(), device="cpu"),
    ):
        with pytest.raises(FormatError, match="the alpha plane cannot be read"):
            read(path)
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_broken_is_told_on_stderr_and_stops_nothing(
    image: Image.Image, tmp_path: Path
) -> None:
    source, stream, target = (tmp_path / name for name in ("in.png", "x.cdsr", "out.png"))
    image.save(source, exif=b"Exif\0\0MM\0*\0\0\0", icc_profile=b"\0" * 200)
    encoded = CliRunner().invoke(cli, ["encode", str(source), str(stream)])
    lines = encoded.stderr.splitlines()
    assert encoded.exit_code == 0
    assert lines[0].startswith(f"warning: {source}: the EXIF metadata are dropped: ")
    assert lines[1].startswith(f"warning: {source}: the ICC profile is ignored: ")
    assert lines[2].startswith(f"{stream}: 32x24 px, ")

    stream.write_bytes(with_chunk(stream.read_bytes(), Chunk(b"iccp", b"\0" + bytes(200))))
    stream.write_bytes(with_chunk(stream.read_bytes(), Chunk(b"xmpm", b"\x09")))
    decoded = CliRunner().invoke(cli, ["decode", str(stream), str(target)])
    assert decoded.exit_code == 0
    assert decoded.stderr.splitlines()[:-1] == [
        f"warning: {stream}: chunk xmpm is skipped: its compression is unknown"
    ]
    assert reopened(target).mode == "RGB"


def test_an_unknown_word_to_strip_is_wrong_usage(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["encode", "--strip", "exif,iptc", "a", "b"])
    assert result.exit_code == 2
    assert "'iptc' is not one of all, exif, xmp, icc" in result.stderr


def test_info_tells_the_source_in_words(image: Image.Image, tmp_path: Path) -> None:
    for mode, words in (("1", "L, 1 bit"), ("P", "P, 8 bits")):
        stream = tmp_path / f"{mode}.cdsr"
        stream.write_bytes(cdsrcodec.encode(image.convert(mode), device="cpu"))
        assert f"source      {words}\n" in CliRunner().invoke(cli, ["info", str(stream)]).stdout


def test_a_profile_that_is_no_use_leaves_srgb_and_no_tag(image: Image.Image) -> None:
    plain = cdsrcodec.encode(image, device="cpu")
    decoded = cdsrcodec.decode(with_chunk(plain, Chunk(b"iccp", b"\0" + bytes(200))), device="cpu")
    assert "icc_profile" not in decoded.info
    assert np.array_equal(np.asarray(decoded), np.asarray(cdsrcodec.decode(plain, device="cpu")))
