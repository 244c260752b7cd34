"""A photograph's file, cut and changed everywhere: each ends in the error that is documented."""

from __future__ import annotations

from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cdsrcodec.codec import decode_symbols, encode_pixels
from cdsrcodec.container import read_stream, write_stream
from cdsrcodec.errors import (
    BadMagicError,
    CdsrError,
    ChecksumError,
    DesyncError,
    FormatError,
    TruncatedStreamError,
)
from tests.fuzz.mutations import change_bytes, signed

ROOT = Path(__file__).resolve().parents[2]
CHANGES = 2000


@pytest.fixture(scope="module")
def stream() -> bytes:
    """A 33x20 photograph at quality 4."""
    with Image.open(ROOT / "sample_images" / "cat.png") as image:
        pixels = np.array(image.convert("RGB").crop((150, 100, 183, 120)))
    return encode_pixels(pixels, quality=4.0, codec="cdsr1", device=torch.device("cpu"))


def error_of(data: bytes) -> type[CdsrError] | None:
    """The documented error, or None where the symbols decode."""
    try:
        decode_symbols(data)
    except CdsrError as error:
        return type(error)
    return None


def test_a_file_cut_at_any_byte_is_refused(stream: bytes) -> None:
    header_bytes = len(stream) - len(read_stream(stream).payload)
    for size in range(len(stream)):
        if size < 3:
            expected: type[CdsrError] = BadMagicError
        else:
            expected = TruncatedStreamError if size < header_bytes else ChecksumError
        assert error_of(stream[:size]) is expected, size


def test_a_file_cut_at_any_byte_and_signed_anew_is_refused(stream: bytes) -> None:
    header_bytes = len(stream) - len(read_stream(stream).payload)
    for size in range(len(stream)):
        error = error_of(signed(stream[:size]))
        assert error is not None
        is_whole_words = size >= header_bytes and (size - header_bytes) % 4 == 0
        assert issubclass(error, DesyncError if is_whole_words else FormatError), size


def test_changes_of_the_bytes_are_found_by_the_byte_checksum(stream: bytes) -> None:
    rng = Random(1)
    for _ in range(CHANGES):
        changed = change_bytes(rng, stream)
        error = error_of(changed) if changed != stream else FormatError
        assert error is not None
        assert issubclass(error, FormatError)


@settings(deadline=None, max_examples=60)  # no deadline: other processes may hold the machine
@given(words=st.lists(st.integers(0, 2**32 - 1), max_size=60))
def test_any_other_payload_is_a_desync(stream: bytes, words: list[int]) -> None:
    payload = np.array(words, "<u4").tobytes()
    original = read_stream(stream)
    if payload != original.payload:
        data = write_stream(type(original)(original.header, (), payload))
        assert error_of(data) is DesyncError


def test_the_file_itself_decodes(stream: bytes) -> None:
    assert error_of(stream) is None
    assert signed(stream) == stream
