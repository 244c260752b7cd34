"""Exif blocks corrected in place, and what is read of good and broken metadata."""

from __future__ import annotations

import io
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms

from cdsrcodec.cli import options
from cdsrcodec.imageio.exif import clean_exif, fit_exif, point_to
from cdsrcodec.imageio.metadata import MAX_BLOCK_BYTES, STRIPPABLE, Metadata, read_metadata
from cdsrcodec.imageio.reader import to_picture
from cdsrcodec.imageio.tiff import directory_of, link_directories
from cdsrcodec.imageio.writer import write_image

PREFIX = b"Exif\0\0"
LAB_PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
THUMBNAIL = b"\xff\xd8 thumbnail of the picture \xff\xd9"


def block(order: str = "<", orientation: int = 6, *, thumbnail_last: bool = True) -> bytes:
    """An Exif block by hand: maker, orientation, resolution, maker note, sides, thumbnail."""
    magic = b"II*\0" if order == "<" else b"MM\0*"

    def directory(entries: list[tuple[int, int, int, bytes]], next_at: int) -> bytes:
        data = struct.pack(order + "H", len(entries))
        for tag, type_id, count, value in entries:
            data += struct.pack(order + "HHI", tag, type_id, count) + value.ljust(4, b"\0")
        return data + struct.pack(order + "I", next_at)

    def long(value: int) -> bytes:
        return struct.pack(order + "I", value)

    def short(value: int) -> bytes:
        return struct.pack(order + "H", value)

    first_bytes, exif_bytes, second_bytes = 2 + 4 * 12 + 4, 2 + 3 * 12 + 4, 2 + 2 * 12 + 4
    exif_at = 8 + first_bytes
    second_at = exif_at + exif_bytes
    values_at = second_at + second_bytes
    values = struct.pack(order + "II", 300, 1) + b"maker note with offsets"
    thumbnail_at = values_at + (len(values) if thumbnail_last else 0)
    if not thumbnail_last:
        values_at += len(THUMBNAIL)
    first = directory(
        [
            (0x010F, 2, 4, b"abc\0"),
            (0x0112, 3, 1, short(orientation)),
            (0x011A, 5, 1, long(values_at)),
            (0x8769, 4, 1, long(exif_at)),
        ],
        second_at,
    )
    exif = directory(
        [
            (0x927C, 7, 23, long(values_at + 8)),
            (0xA002, 3, 1, short(24)),
            (0xA003, 4, 1, long(32)),
        ],
        0,
    )
    second = directory(
        [(0x0201, 4, 1, long(thumbnail_at)), (0x0202, 4, 1, long(len(THUMBNAIL)))], 0
    )
    tail = values + THUMBNAIL if thumbnail_last else THUMBNAIL + values
    return magic + long(8) + first + exif + second + tail


def tags_of(exif: bytes) -> Image.Exif:
    tags = Image.Exif()
    tags.load(exif)
    return tags


@pytest.mark.parametrize("order", ["<", ">"])
def test_orientation_becomes_1_and_the_thumbnail_goes(order: str) -> None:
    before = block(order)
    after = clean_exif(before)
    assert len(after) == len(before) - len(THUMBNAIL)
    tags = tags_of(after)
    assert tags[ExifTags.Base.Orientation] == 1
    assert tags[ExifTags.Base.Make] == "abc"
    assert tags.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.MakerNote] == b"maker note with offsets"
    assert not tags.get_ifd(ExifTags.IFD.IFD1)
    # The note stands where it stood, or offsets in it would lead elsewhere.
    assert after.index(b"maker note") == before.index(b"maker note")


def test_a_thumbnail_in_the_middle_is_blanked() -> None:
    before = block(thumbnail_last=False)
    after = clean_exif(before)
    assert len(after) == len(before)
    assert THUMBNAIL not in after
    assert b"maker note with offsets" in after


def test_a_thumbnail_pointer_that_is_out_of_date_costs_nothing_else() -> None:
    before = block()
    pointer = struct.pack("<I", before.index(THUMBNAIL))
    assert before.count(pointer) == 1
    stale = before.replace(pointer, struct.pack("<I", before.index(b"maker note")))
    tags = tags_of(clean_exif(stale))
    assert tags.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.MakerNote] == b"maker note with offsets"
    assert not tags.get_ifd(ExifTags.IFD.IFD1)


def test_a_block_that_only_turns_the_picture_tells_nothing() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 8
    assert clean_exif(exif.tobytes().removeprefix(PREFIX)) == b""


@pytest.mark.parametrize("order", ["<", ">"])
def test_sides_and_resolution_are_those_of_the_enlarged_picture(order: str) -> None:
    tags = tags_of(fit_exif(clean_exif(block(order)), 128, 96, scale=4))
    assert tags[ExifTags.Base.XResolution] == 1200
    further = tags.get_ifd(ExifTags.IFD.Exif)
    assert further[ExifTags.Base.ExifImageWidth] == 128
    assert further[ExifTags.Base.ExifImageHeight] == 96


def test_what_a_field_cannot_hold_is_left_as_it_was() -> None:
    tags = tags_of(fit_exif(clean_exif(block()), 70_000, 70_000, scale=2**30))
    further = tags.get_ifd(ExifTags.IFD.Exif)
    assert further[ExifTags.Base.ExifImageWidth] == 24  # 16 bits
    assert further[ExifTags.Base.ExifImageHeight] == 70_000
    assert tags[ExifTags.Base.XResolution] == 300


@pytest.mark.parametrize(
    "damaged",
    [b"", b"II*", b"II*\0\x08\0\0\0", b"II*\0\xff\xff\xff\xff", b"GIF89a" * 9, block()[:40]],
)
def test_a_damaged_block_is_refused(damaged: bytes) -> None:
    with pytest.raises(ValueError, match=r"no TIFF header|a directory"):
        clean_exif(damaged)
    with pytest.raises(ValueError, match=r"no TIFF header|a directory"):
        fit_exif(damaged, 1, 1, scale=4)


def test_any_other_damage_is_a_value_error_or_a_block_of_the_same_size_at_most() -> None:
    rng = np.random.default_rng(4)
    outcomes = {"error": 0, "block": 0}
    for _ in range(3000):
        damaged = bytearray(block())
        for at in rng.integers(0, len(damaged), rng.integers(1, 5)):
            damaged[at] = rng.choice([0, 1, 0x7F, 0xFF, rng.integers(256)])
        damaged = damaged[: rng.integers(1, 2 * len(damaged))]
        try:
            cleaned = clean_exif(bytes(damaged))
            if cleaned:
                assert len(fit_exif(cleaned, 128, 96, scale=4)) == len(cleaned) <= len(damaged)
            outcomes["block"] += 1
        except ValueError:
            outcomes["error"] += 1
    assert min(outcomes.values()) > 200


def test_kinds_that_can_be_read_but_once_are_stripped_too() -> None:
    metadata = Metadata(exif=b"where it was taken", xmp=b"<x/>", dpi=(72.0, 72.0))
    assert metadata.without(kind for kind in ("exif", "icc")) == Metadata(
        xmp=b"<x/>", dpi=(72.0, 72.0)
    )
    assert metadata.without(iter(["all"])) == Metadata()


def test_the_command_line_knows_what_can_be_stripped() -> None:
    assert options.STRIPPABLE == STRIPPABLE


def test_a_pointer_that_is_not_there_cannot_be_set() -> None:
    with pytest.raises(ValueError, match="no tag 0x8825"):
        point_to(bytearray(block()), 0x8825, 8)


def opened(image: Image.Image, name: str, **options: Image.Exif) -> Image.Image:
    file = io.BytesIO()
    image.save(file, name, **options)
    reopened = Image.open(file)
    reopened.load()
    return reopened


GREY = Image.new("RGB", (5, 4), "grey")


@pytest.mark.parametrize(
    ("dpi", "kept"),
    [
        ((300, 300), (300.0, 300.0)),
        ((72.5, 144), (72.5, 144.0)),
        ((0, 0), None),
        ((float("nan"), 72), None),
        ((float("inf"), 72), None),
        ((1e9, 1e9), None),
        ((-72, 72), None),
        ("300", None),
        (300, None),
        ((1, 2, 3), None),
        (("a", "b"), None),
        (None, None),
    ],
)
def test_only_a_plausible_resolution_is_kept(dpi: object, kept: tuple[float, float] | None) -> None:
    image = GREY.copy()
    image.info["dpi"] = dpi
    assert read_metadata(image, is_on_its_side=False) == (Metadata(dpi=kept), [])


def test_the_resolution_turns_with_the_picture() -> None:
    image = GREY.copy()
    image.info["dpi"] = (100, 200)
    assert read_metadata(image, is_on_its_side=True)[0].dpi == (200, 100)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("exif", b"Exif\0\0MM\0*\0\0\0", "the EXIF metadata are dropped: a directory points"),
        ("exif", PREFIX + b"nonsense", "the EXIF metadata are dropped: no TIFF header"),
        ("exif", PREFIX + block() + bytes(MAX_BLOCK_BYTES), "bytes are more than 4194304"),
        ("xmp", b"\xff\xfe<\0x\0", "the XMP metadata are dropped: 'utf-8' codec"),
        ("xmp", b"x" * (MAX_BLOCK_BYTES + 1), "bytes are more than 4194304"),
        ("icc_profile", b"\0" * 200, "the ICC profile is ignored: it is broken"),
        ("icc_profile", LAB_PROFILE, "the ICC profile is ignored: it belongs to another"),
        ("icc_profile", bytes(16) + b"RGB " + bytes(200), "the ICC profile is ignored: it is br"),
    ],
)
def test_broken_metadata_are_dropped_with_a_line(key: str, value: bytes, words: str) -> None:
    image = GREY.copy()
    image.info[key] = value
    picture = to_picture(image)
    assert picture.metadata == Metadata()
    (warning,) = picture.warnings
    assert words in warning
    assert "\n" not in warning


def test_xmp_of_an_upright_picture_says_so() -> None:
    image = GREY.copy()
    for before, after in (
        (b'<a tiff:Orientation="6"/>', b'<a tiff:Orientation="1"/>'),
        (b"<a tiff:Orientation = '3' b='6'/>", b"<a tiff:Orientation = '1' b='6'/>"),
        (b"<tiff:Orientation> 8</tiff:Orientation>", b"<tiff:Orientation>1</tiff:Orientation>"),
        (b"\0 <a/>\n\0", b"<a/>"),
    ):
        image.info["xmp"] = before
        assert read_metadata(image, is_on_its_side=False)[0].xmp == after


def test_tags_of_a_tiff_file_are_kept_and_those_of_its_samples_are_not() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Artist] = "someone"
    exif[ExifTags.Base.Software] = "something"
    kept = read_metadata(opened(GREY, "TIFF", exif=exif), is_on_its_side=False)[0].exif
    assert kept is not None
    assert dict(tags_of(kept)) == {
        ExifTags.Base.Artist: "someone",
        ExifTags.Base.Software: "something",
    }


def test_a_tiff_file_is_copied_once_for_all_of_its_directories() -> None:
    tags = Image.Exif()
    tags.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.LensModel] = "lens"
    tags.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSMapDatum] = "datum"
    exif = tags.tobytes()
    file = io.BytesIO()
    GREY.save(file, "TIFF", tiffinfo=directory_of(exif, None))
    tiff = file.getvalue() + bytes(2_000_000)
    tracemalloc.start()
    linked = link_directories(tiff, exif)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 1.5 * len(tiff)
    with Image.open(io.BytesIO(linked)) as image:
        written = image.getexif()
        assert written.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.LensModel] == "lens"
        assert written.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSMapDatum] == "datum"
    assert link_directories(tiff, None) is tiff


@pytest.mark.parametrize("name", ["GIF", "JPEG", "PNG", "PPM", "TGA", "TIFF", "WEBP", "AVIF"])
def test_a_plain_file_has_no_metadata(name: str) -> None:
    picture = to_picture(opened(GREY, name))
    assert picture.metadata == Metadata()
    assert picture.warnings == ()


def test_what_is_too_long_for_a_jpeg_is_left_out_with_a_line(tmp_path: Path) -> None:
    image = GREY.copy()
    image.info |= {"exif": PREFIX + block() + bytes(70_000), "xmp": b"<a/>" * 20_000}
    image.info["dpi"] = (90_000.0, 90_000.0)
    dropped = write_image(image, tmp_path / "x.jpg")
    assert dropped == (
        "the EXIF metadata are too long for a JPEG: left out",
        "the XMP metadata are too long for a JPEG: left out",
    )
    with Image.open(tmp_path / "x.jpg") as written:
        assert not {"exif", "xmp"} & set(written.info)


def test_metadata_that_an_encoder_refuses_do_not_stop_the_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = GREY.copy()
    image.info |= {"exif": PREFIX + block(), "icc_profile": b"profile"}

    def refuse(*_: object) -> None:
        raise struct.error("a number\nis too large")

    monkeypatch.setattr("cdsrcodec.imageio.writer.link_directories", refuse)
    (dropped,) = write_image(image, tmp_path / "x.tif")
    assert dropped == "the metadata cannot be written to TIFF: a number is too large"
    with Image.open(tmp_path / "x.tif") as written:
        assert "icc_profile" not in written.info
        np.testing.assert_array_equal(np.asarray(written), np.asarray(GREY))
    assert image.info["icc_profile"] == b"profile"
