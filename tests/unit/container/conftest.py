"""Streams put together by hand, so that the reader is not tested against the writer."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import pytest


def _build(
    *, flags: int = 0, quality_code: int = 96, sides: bytes = b"\x40\x30", rest: bytes = b""
) -> bytes:
    before = b"\xcdSR\x01" + bytes((flags, 1)) + b"\x9f\x3a\x7c\x51"
    before += bytes((quality_code,)) + sides
    after = b"\xef\xbe\xad\xde" + rest
    return before + zlib.crc32(before + after).to_bytes(4, "little") + after


@pytest.fixture(scope="session")
def build() -> Callable[..., bytes]:
    """Builds a stream of raw fields, right or wrong, under a right byte CRC.

    Keywords: flags, quality_code, sides (both varints), rest (all after symbol_crc).
    Model 1, tag 9F 3A 7C 51 and symbol CRC DEADBEEF are fixed.
    """
    return _build
