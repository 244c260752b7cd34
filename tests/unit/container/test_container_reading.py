"""The rules of docs/format.md, one by one: which error, where, and in which order."""

from __future__ import annotations

import re
import tracemalloc
from collections.abc import Callable

import pytest
from PIL import Image

from cdsrcodec.container import Chunk, Limits, read_stream, write_stream
from cdsrcodec.errors import (
    BadMagicError,
    CdsrError,
    ChecksumError,
    FormatError,
    LimitError,
    TruncatedStreamError,
    UnknownCriticalChunkError,
    UnsupportedVersionError,
)

Build = Callable[..., bytes]

MAX_SIDE = b"\xff\xff\x7f"
WORD = b"\x01\x02\x03\x04"
PLAIN_LIMITS = Limits()
NO_LIMITS = Limits(max_pixels=2**42, max_chunk_bytes=2**35)


def failure_of(
    data: bytes, *, limits: Limits = PLAIN_LIMITS, understood: frozenset[bytes] = frozenset()
) -> CdsrError:
    """The error of read_stream, after checking that it is one line."""
    with pytest.raises(CdsrError) as caught:
        read_stream(data, limits=limits, understood=understood)
    assert "\n" not in str(caught.value)
    return caught.value


def assert_format_error(error: CdsrError, kind: type[FormatError], offset: int, words: str) -> None:
    assert type(error) is kind
    assert isinstance(error, FormatError)
    assert error.offset == offset
    assert re.search(words, str(error)), str(error)


def test_a_file_is_refused_as_empty_when_it_is() -> None:
    assert_format_error(failure_of(b""), BadMagicError, 0, "the file is empty")


@pytest.mark.parametrize(
    "data", [b"\xcd", b"\xcdS", b"\xcdSX\x01", b"CDSR" * 9, b"\x89PNG\r\n\x1a\n" + bytes(40)]
)
def test_what_does_not_start_with_the_magic_is_not_a_cdsr_file(data: bytes) -> None:
    assert_format_error(failure_of(data), BadMagicError, 0, "not a .cdsr file")


@pytest.mark.parametrize("version", [0, 2, 77, 255])
def test_another_version_is_named_with_the_way_out(version: int) -> None:
    error = failure_of(b"\xcdSR" + bytes((version,)))
    words = f"format version {version} .*hint: upgrade cdsrcodec"
    assert_format_error(error, UnsupportedVersionError, 3, words)


def test_a_later_version_is_told_before_its_checksum_is_looked_at(build: Build) -> None:
    data = bytearray(build(rest=WORD))
    data[3] = 2
    assert type(failure_of(bytes(data))) is UnsupportedVersionError


@pytest.mark.parametrize("size", range(3, 21))
def test_a_header_cut_short_is_a_truncation(build: Build, size: int) -> None:
    error = failure_of(build()[:size])
    assert_format_error(error, TruncatedStreamError, size, "ends inside")


@pytest.mark.parametrize(
    ("sides", "offset", "words"),
    [
        (b"\x80\x80\x80\x01\x30", 11, "more than 3 bytes"),
        (b"\x40\x80\x80\x80\x01", 12, "more than 3 bytes"),
        (b"\xff\xff\xff\xff\x30", 11, "more than 3 bytes"),
        (b"\xc0\x00\x30", 11, "shortest form"),
        (b"\x40\xb0\x80\x00", 12, "shortest form"),
    ],
)
def test_a_malformed_side_is_refused(build: Build, sides: bytes, offset: int, words: str) -> None:
    assert_format_error(failure_of(build(sides=sides)), FormatError, offset, words)


def test_a_malformed_side_is_told_before_the_checksum(build: Build) -> None:
    data = build(sides=b"\xc0\x00\x30") + b"\x00"
    assert_format_error(failure_of(data), FormatError, 11, "shortest form")


@pytest.mark.parametrize("position", [4, 5, 6, 10, 13, 16, 17, 20, 21, 24])
def test_a_damaged_byte_fails_the_checksum(build: Build, position: int) -> None:
    data = bytearray(build(rest=WORD))
    data[position] ^= 0xFF
    words = "damaged or was cut short"
    assert_format_error(failure_of(bytes(data)), ChecksumError, 13, words)


@pytest.mark.parametrize("change", [slice(None, -1), slice(None, -4)])
def test_a_payload_cut_short_fails_the_checksum(build: Build, change: slice) -> None:
    error = failure_of(build(rest=WORD * 3)[change])
    assert_format_error(error, ChecksumError, 13, "cut short")


def test_bytes_after_the_end_fail_the_checksum(build: Build) -> None:
    assert_format_error(failure_of(build() + bytes(4)), ChecksumError, 13, "damaged")


@pytest.mark.parametrize("flags", [0x02, 0x03, 0x80, 0xFE])
def test_reserved_flags_are_refused(build: Build, flags: int) -> None:
    error = failure_of(build(flags=flags, quality_code=225, sides=b"\x00\x00"))
    assert_format_error(error, FormatError, 4, "reserved flags")


@pytest.mark.parametrize("quality_code", [225, 255])
def test_a_quality_code_above_224_is_refused(build: Build, quality_code: int) -> None:
    error = failure_of(build(quality_code=quality_code, sides=b"\x00\x00"))
    assert_format_error(error, FormatError, 10, f"quality code {quality_code}")


@pytest.mark.parametrize(("quality_code", "quality"), [(0, 1.0), (1, 1.03125), (224, 8.0)])
def test_every_other_quality_code_is_read(build: Build, quality_code: int, quality: float) -> None:
    assert read_stream(build(quality_code=quality_code)).header.quality == quality


@pytest.mark.parametrize(
    ("sides", "offset", "name"),
    [(b"\x00\x30", 11, "width"), (b"\x80\x01\x00", 13, "height"), (b"\x00\x00", 11, "width")],
)
def test_a_picture_without_pixels_is_refused(
    build: Build, sides: bytes, offset: int, name: str
) -> None:
    error = failure_of(build(sides=sides, rest=b"\x00"))
    assert_format_error(error, FormatError, offset, f"{name} of 0")


def test_pixels_up_to_the_limit_are_accepted_and_no_more(build: Build) -> None:
    data = build(rest=WORD)
    assert read_stream(data, limits=Limits(max_pixels=64 * 48)).payload == WORD
    error = failure_of(data, limits=Limits(max_pixels=64 * 48 - 1))
    assert type(error) is LimitError
    assert str(error).endswith(
        "64x48, 3072 pixels: more than the limit of 3071. "
        "hint: --max-pixels raises it, up to 178956970"
    )


def test_the_default_limit_of_pixels_is_that_of_pillow(build: Build) -> None:
    assert Limits().max_pixels == 2 * (Image.MAX_IMAGE_PIXELS or 0)
    data = build(sides=MAX_SIDE + MAX_SIDE)
    error = failure_of(data)
    assert type(error) is LimitError
    assert str(error).endswith("pixels: more than this reader's limit of 178956970")
    header = read_stream(data, limits=NO_LIMITS).header
    assert (header.width_px, header.height_px) == (2**21 - 1, 2**21 - 1)


def test_the_limit_of_pixels_is_told_before_the_chunks(build: Build) -> None:
    data = build(flags=1, sides=MAX_SIDE + MAX_SIDE, rest=b"\x00")
    assert type(failure_of(data)) is LimitError


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (b"\x00", "chunk count of 0"),
        (b"\x80\x02", "chunk count of 256"),
        (b"\xff\x7f", "chunk count of 16383"),
        (b"\x80\x80\x01", "more than 2 bytes"),
        (b"\x81\x00", "shortest form"),
    ],
)
def test_a_chunk_count_is_one_to_255(build: Build, count: bytes, words: str) -> None:
    error = failure_of(build(flags=1, rest=count + bytes(64)))
    assert_format_error(error, FormatError, 21, words)


@pytest.mark.parametrize("kind", [b"ab1d", b"abc\x00", b"\xe4bcd", b"a cd"])
def test_a_chunk_kind_of_other_than_letters_is_refused(build: Build, kind: bytes) -> None:
    error = failure_of(build(flags=1, rest=b"\x01" + kind + b"\x00"))
    assert_format_error(error, FormatError, 22, "ASCII letters")


@pytest.mark.parametrize(
    ("length", "words"),
    [(b"\x80\x80\x80\x80\x80\x01", "more than 5 bytes"), (b"\x84\x00", "shortest form")],
)
def test_a_malformed_chunk_length_is_refused(build: Build, length: bytes, words: str) -> None:
    error = failure_of(build(flags=1, rest=b"\x01exif" + length + bytes(8)))
    assert_format_error(error, FormatError, 26, words)


CHUNKS = b"\x02exif\x03abciccp\x82\x01" + bytes(130)


def test_chunks_cut_short_under_a_right_checksum_are_a_truncation(build: Build) -> None:
    for size in range(len(CHUNKS)):
        data = build(flags=1, rest=CHUNKS[:size])
        assert_format_error(failure_of(data), TruncatedStreamError, len(data), "ends inside")


def test_unknown_optional_chunks_are_skipped_and_kept(build: Build) -> None:
    data = build(flags=1, rest=CHUNKS + WORD)
    stream = read_stream(data)
    assert stream.chunks == (Chunk(b"exif", b"abc"), Chunk(b"iccp", bytes(130)))
    assert stream.payload == WORD
    assert write_stream(stream) == data


def test_an_unknown_critical_chunk_is_refused_and_a_known_one_read(build: Build) -> None:
    data = build(flags=1, rest=b"\x02exif\x00ALPH\x01x" + WORD)
    assert_format_error(failure_of(data), UnknownCriticalChunkError, 27, "chunk ALPH .*upgrade")
    error = failure_of(data, understood=frozenset({b"Alph", b"exif"}))
    assert type(error) is UnknownCriticalChunkError
    stream = read_stream(data, understood=frozenset({b"ALPH"}))
    assert stream.chunks == (Chunk(b"exif", b""), Chunk(b"ALPH", b"x"))


def test_the_limit_of_chunk_bytes_is_on_all_chunks_together(build: Build) -> None:
    data = build(flags=1, rest=CHUNKS)
    assert len(read_stream(data, limits=Limits(max_chunk_bytes=133)).chunks) == 2
    error = failure_of(data, limits=Limits(max_chunk_bytes=132))
    assert type(error) is LimitError
    assert str(error) == (
        "chunk iccp of 130 bytes is more than the 129 that this reader's limit leaves"
    )


@pytest.mark.parametrize("payload_bytes", [1, 2, 3, 7])
def test_a_payload_of_broken_words_is_refused(build: Build, payload_bytes: int) -> None:
    plain = failure_of(build(rest=bytes(payload_bytes)))
    assert_format_error(plain, FormatError, 21, "whole 32-bit words")
    chunked = failure_of(build(flags=1, rest=CHUNKS + bytes(payload_bytes)))
    assert_format_error(chunked, FormatError, 21 + len(CHUNKS), "whole 32-bit words")


def test_a_stream_may_have_no_payload(build: Build) -> None:
    assert read_stream(build()).payload == b""


@pytest.mark.parametrize("limits", [PLAIN_LIMITS, NO_LIMITS])
def test_claimed_sizes_are_refused_before_they_are_allocated(build: Build, limits: Limits) -> None:
    huge_length = b"\xff\xff\xff\xff\x7f"
    data = build(flags=1, sides=MAX_SIDE + b"\x01", rest=b"\xff\x01exif" + huge_length)
    expected = LimitError if limits == PLAIN_LIMITS else TruncatedStreamError
    tracemalloc.start()
    try:
        error = failure_of(data, limits=limits)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert type(error) is expected
    assert peak_bytes < 100_000
