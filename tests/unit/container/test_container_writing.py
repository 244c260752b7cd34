"""What the classes refuse to hold, and the bytes that are written."""

from __future__ import annotations

import math
from dataclasses import FrozenInstanceError, replace

import pytest

from cdsrcodec.container import (
    FORMAT_VERSION,
    Chunk,
    Header,
    Stream,
    quality_code_of,
    read_stream,
    write_stream,
)

HEADER = Header(
    model_id=1,
    entropy_tag=b"\x9f\x3a\x7c\x51",
    quality_code=96,
    width_px=64,
    height_px=48,
    symbol_crc=0xDEADBEEF,
)
PAYLOAD = bytes.fromhex("04030201 0d0c0b0a")
PLAIN = bytes.fromhex("cd5352 01 00 01 9f3a7c51 60 40 30 8b7936a5 efbeadde 04030201 0d0c0b0a")
CHUNKED = bytes.fromhex(
    "cd5352 01 01 01 9f3a7c51 60 8006 8004 42474e45 efbeadde"
    "02 65786966 02 4949 6f726967 00 04030201 0d0c0b0a"
)


def test_the_golden_plain_stream_is_written_and_read() -> None:
    stream = Stream(HEADER, (), PAYLOAD)
    assert FORMAT_VERSION == 1
    assert write_stream(stream) == PLAIN
    assert read_stream(PLAIN) == stream
    assert len(PLAIN) - len(PAYLOAD) == 21


def test_the_golden_chunked_stream_is_written_and_read() -> None:
    chunks = (Chunk(b"exif", b"II"), Chunk(b"orig", b""))
    stream = Stream(replace(HEADER, width_px=768, height_px=512), chunks, PAYLOAD)
    assert write_stream(stream) == CHUNKED
    assert read_stream(CHUNKED) == stream
    assert len(CHUNKED) - len(PAYLOAD) == 36


@pytest.mark.parametrize(
    ("width_px", "height_px", "overhead_bytes"),
    [
        (1, 1, 21),
        (127, 128, 22),
        (128, 128, 23),
        (768, 512, 23),
        (16383, 16383, 23),
        (2**21 - 1, 1, 23),
        (2**14, 2**13, 24),
    ],
)
def test_a_plain_picture_costs_23_bytes_beside_its_payload(
    width_px: int, height_px: int, overhead_bytes: int
) -> None:
    stream = Stream(replace(HEADER, width_px=width_px, height_px=height_px), (), PAYLOAD)
    assert len(write_stream(stream)) - len(PAYLOAD) == overhead_bytes


@pytest.mark.parametrize(
    ("quality", "code"),
    [(1, 0), (1.015, 0), (1.016, 1), (4.0, 96), (4.51, 112), (7.99, 224), (8.0, 224)],
)
def test_quality_is_rounded_to_the_nearest_32nd(quality: float, code: int) -> None:
    assert quality_code_of(quality) == code


def test_every_quality_code_survives_its_quality() -> None:
    headers = [replace(HEADER, quality_code=code) for code in range(225)]
    assert [quality_code_of(header.quality) for header in headers] == list(range(225))
    assert (headers[0].quality, headers[97].quality, headers[224].quality) == (1.0, 4.03125, 8.0)


@pytest.mark.parametrize("quality", [0.999, 8.001, 0, -4, math.inf, -math.inf, math.nan])
def test_a_quality_outside_1_to_8_has_no_code(quality: float) -> None:
    with pytest.raises(ValueError, match="quality must be 1 to 8"):
        quality_code_of(quality)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("model_id", -1),
        ("model_id", 256),
        ("entropy_tag", b"\x01\x02\x03"),
        ("entropy_tag", b"\x01\x02\x03\x04\x05"),
        ("quality_code", -1),
        ("quality_code", 225),
        ("width_px", 0),
        ("width_px", 2**21),
        ("height_px", 0),
        ("height_px", 2**21),
        ("symbol_crc", -1),
        ("symbol_crc", 2**32),
    ],
)
def test_a_header_refuses_what_the_format_cannot_hold(field: str, value: int | bytes) -> None:
    fields = vars(HEADER) | {field: value}
    with pytest.raises(ValueError, match=f"{field} must be"):
        Header(**fields)


@pytest.mark.parametrize("kind", [b"", b"abc", b"abcde", b"ab1d", b"ab d", b"ab\xe4d", b"\x00bcd"])
def test_a_chunk_kind_must_be_four_ascii_letters(kind: bytes) -> None:
    with pytest.raises(ValueError, match="4 ASCII letters"):
        Chunk(kind, b"")


def test_a_chunk_refuses_more_bytes_than_its_length_can_say() -> None:
    class HugeBytes(bytes):
        def __len__(self) -> int:
            return 2**35

    with pytest.raises(ValueError, match="cannot hold 34359738368 bytes"):
        Chunk(b"exif", HugeBytes())


@pytest.mark.parametrize(
    ("kind", "critical"), [(b"ALPH", True), (b"Alph", True), (b"aLPH", False), (b"iccp", False)]
)
def test_the_first_letter_says_whether_a_chunk_is_critical(kind: bytes, critical: bool) -> None:
    assert Chunk(kind, b"").is_critical is critical


def test_a_stream_holds_255_chunks_at_most() -> None:
    chunk = Chunk(b"exif", b"")
    full = Stream(HEADER, (chunk,) * 255, b"")
    assert read_stream(write_stream(full)) == full
    with pytest.raises(ValueError, match="255 chunks at most, not 256"):
        Stream(HEADER, (chunk,) * 256, b"")


@pytest.mark.parametrize("payload_bytes", [1, 2, 3, 5])
def test_a_payload_must_be_whole_words(payload_bytes: int) -> None:
    with pytest.raises(ValueError, match="not whole 32-bit words"):
        Stream(HEADER, (), bytes(payload_bytes))


def test_a_header_cannot_be_changed_past_its_checks() -> None:
    with pytest.raises(FrozenInstanceError):
        HEADER.width_px = 0  # type: ignore[misc]
    assert HEADER.width_px == 64
