"""Round trips, truncations, bit flips and re-signed mutations of whole streams."""

from __future__ import annotations

import string
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cdsrcodec.container import Chunk, Header, Limits, Stream, read_stream, write_stream
from cdsrcodec.errors import (
    BadMagicError,
    CdsrError,
    ChecksumError,
    FormatError,
    TruncatedStreamError,
)

NO_LIMITS = Limits(max_pixels=2**42, max_chunk_bytes=2**36)
SAMPLE = Stream(
    Header(1, b"\x9f\x3a\x7c\x51", 96, 768, 512, 0xDEADBEEF),
    (Chunk(b"exif", b"abc"), Chunk(b"iccp", bytes(range(130)))),
    bytes(range(64)),
)
SAMPLE_BYTES = write_stream(SAMPLE)
SAMPLE_CRC_OFFSET = 15

SIDES_PX = st.integers(1, 2**21 - 1)
KINDS = st.text(string.ascii_letters, min_size=4, max_size=4).map(str.encode)
STREAMS = st.builds(
    Stream,
    st.builds(
        Header,
        model_id=st.integers(0, 255),
        entropy_tag=st.binary(min_size=4, max_size=4),
        quality_code=st.integers(0, 224),
        width_px=SIDES_PX,
        height_px=SIDES_PX,
        symbol_crc=st.integers(0, 2**32 - 1),
    ),
    st.lists(st.builds(Chunk, KINDS, st.binary(max_size=300)), max_size=5).map(tuple),
    st.binary(max_size=16).map(lambda block: block * 4),
)


def outcome_of(data: bytes) -> Stream | CdsrError:
    """What reading gives: the stream, or the documented error."""
    try:
        return read_stream(data, limits=NO_LIMITS)
    except CdsrError as error:
        return error


@settings(deadline=None)  # other processes may hold the machine
@given(STREAMS)
def test_every_stream_comes_back_from_its_bytes(stream: Stream) -> None:
    data = write_stream(stream)
    understood = frozenset(chunk.kind for chunk in stream.chunks)
    assert read_stream(data, limits=NO_LIMITS, understood=understood) == stream


@settings(deadline=None)  # other processes may hold the machine
@given(st.data())
def test_whatever_is_read_is_written_back_byte_by_byte(data: st.DataObject) -> None:
    mutated = bytearray(SAMPLE_BYTES)
    for _ in range(data.draw(st.integers(1, 3))):
        mutated[data.draw(st.integers(3, 60))] = data.draw(st.integers(0, 255))
    # Signed anew where the sample has its CRC, so that mutations reach the later rules.
    before, after = mutated[:SAMPLE_CRC_OFFSET], mutated[SAMPLE_CRC_OFFSET + 4 :]
    signed = bytes(before + zlib.crc32(before + after).to_bytes(4, "little") + after)
    outcome = outcome_of(signed)
    if isinstance(outcome, Stream):
        assert write_stream(outcome) == signed
    else:
        assert isinstance(outcome, FormatError)
        assert 0 <= outcome.offset <= len(signed)


@settings(deadline=None)  # other processes may hold the machine
@given(st.binary(max_size=64), st.booleans())
def test_arbitrary_bytes_are_refused_as_a_bad_format(junk: bytes, has_magic: bool) -> None:
    data = b"\xcdSR\x01" + junk if has_magic else junk
    with pytest.raises(FormatError) as caught:
        read_stream(data)
    assert has_magic or junk.startswith(b"\xcdSR") or isinstance(caught.value, BadMagicError)


def test_a_stream_cut_at_any_byte_is_told_by_where_it_was_cut() -> None:
    header_bytes = SAMPLE_CRC_OFFSET + 8
    for size in range(len(SAMPLE_BYTES)):
        if size < 3:
            expected: type[FormatError] = BadMagicError
        else:
            expected = TruncatedStreamError if size < header_bytes else ChecksumError
        assert type(outcome_of(SAMPLE_BYTES[:size])) is expected, size


def test_any_single_flipped_bit_is_found() -> None:
    for position in range(len(SAMPLE_BYTES)):
        for bit in range(8):
            flipped = bytearray(SAMPLE_BYTES)
            flipped[position] ^= 1 << bit
            assert isinstance(outcome_of(bytes(flipped)), FormatError), (position, bit)


def test_the_sample_itself_is_sound() -> None:
    assert read_stream(SAMPLE_BYTES) == SAMPLE
