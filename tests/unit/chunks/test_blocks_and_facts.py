"""Metadata blocks, origin and resolution: exact, in one spelling, and bounded."""

from __future__ import annotations

import tracemalloc
import zlib

import pytest

from cdsrcodec.chunks.blocks import pack_block, unpack_block
from cdsrcodec.chunks.facts import (
    Origin,
    full_size_of,
    origin_of,
    pack_full_size,
    pack_origin,
    pack_resolution,
    unpack_origin,
    unpack_resolution,
)
from cdsrcodec.chunks.sidecar import sidecar_of
from cdsrcodec.container import Chunk, Header, Stream


def deflate(block: bytes) -> bytes:
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    return compressor.compress(block) + compressor.flush()


@pytest.mark.parametrize("block", [b"x", bytes(range(256)), b"many words " * 90, bytes(1000)])
def test_a_block_comes_back_and_is_never_longer_than_a_byte_more(block: bytes) -> None:
    data = pack_block(block)
    assert len(data) <= 1 + len(block)
    assert unpack_block(data, max_bytes=len(block)) == block


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "compression is unknown"),
        (b"\x02abc", "compression is unknown"),
        (b"\x00", "size is not 1 to 1000 bytes"),
        (b"\x00" + bytes(1001), "size is not 1 to 1000 bytes"),
        (b"\x01", "cut short"),
        (b"\x01" + deflate(b""), "size is not"),
        (b"\x01" + deflate(bytes(1001)), "size is not 1 to 1000 bytes"),
        (b"\x01" + deflate(b"abc" * 300)[:-2], "cut short"),
        (b"\x01" + deflate(b"abc") + b"\0", "followed by something"),
        (b"\x01\xff\xff\xff", "damaged"),
        (b"\x01" + zlib.compress(b"abc"), "damaged"),
    ],
)
def test_whatever_else_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        unpack_block(data, max_bytes=1000)


def test_a_bomb_is_not_decompressed() -> None:
    bomb = b"\x01" + deflate(bytes(64 * 2**20))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="size is not"):
            unpack_block(bomb, max_bytes=1000)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 2**20


def test_an_origin_is_a_word_and_a_number() -> None:
    assert pack_origin(Origin("L", 16)) == b"L;16"
    assert unpack_origin(b"CMYK;8") == Origin("CMYK", 8)
    assert unpack_origin(b"L;1").is_grey
    assert not unpack_origin(b"P;8").is_grey


@pytest.mark.parametrize("data", [b"", b"L", b"L;", b"L;12", b"XYZ;8", b"L;8\n", b"l;8", b"L;8;8"])
def test_another_origin_is_malformed(data: bytes) -> None:
    with pytest.raises(ValueError, match="no known colour model"):
        unpack_origin(data)


@pytest.mark.parametrize(
    ("dpi", "data"),
    [
        ((300.0, 300.0), bytes.fromhex("C08DB701")),  # as in docs/format.md
        ((72.0, 144.0), bytes.fromhex("80F92B 80F257")),
        ((100 * 2.54, 100 * 2.54), bytes.fromhex("E0839B01")),  # 100 a centimetre
        ((0.0001, 0.0001), b"\x01"),
    ],
)
def test_a_resolution_is_kept_to_the_tenthousandth(dpi: tuple[float, float], data: bytes) -> None:
    assert pack_resolution(dpi) == data
    assert unpack_resolution(data) == pytest.approx(dpi, abs=5e-5)


@pytest.mark.parametrize("pixels_per_metre", [1, 2834, 2835, 3937, 11811, 1_000_000])
def test_whole_numbers_of_pixels_per_metre_are_exact(pixels_per_metre: int) -> None:
    dpi = pixels_per_metre * 0.0254
    kept, _ = unpack_resolution(pack_resolution((dpi, dpi)))
    assert round(kept * 10_000) == pixels_per_metre * 254


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00",
        b"\x80",
        b"\x01\x00",
        b"\x07\x07",
        b"\x01\x01\x01",
        b"\xff\xff\xff\xff\x7f",
        b"\x80\x80\x80\x80\x80\x01",
        b"\x81\x00",
    ],
)
def test_another_resolution_is_malformed(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"malformed|no resolution"):
        unpack_resolution(data)


def test_the_first_well_formed_chunk_of_its_kind_counts_whoever_asks() -> None:
    chunks = (
        Chunk(b"orig", b"RGB;7"),
        Chunk(b"full", b""),
        Chunk(b"orig", b"L;16"),
        Chunk(b"full", pack_full_size((120, 66))),
        Chunk(b"orig", b"P;8"),
        Chunk(b"full", pack_full_size((119, 65))),
    )
    stream = Stream(Header(1, bytes(4), 0, 30, 17, 0), chunks, b"")
    sidecar = sidecar_of(stream)
    assert origin_of(stream) == sidecar.origin == Origin("L", 16)
    assert full_size_of(stream) == sidecar.full_size_px == (120, 66)
    assert len(sidecar.warnings) == 4
    assert origin_of(Stream(stream.header, chunks[:2], b"")) is None
