"""PNG files whose samples Pillow scales: their transparent colours, and grey that stays grey."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from cdsrcodec.imageio.reader import to_picture

GREY, RGB, GREY_ALPHA = 0, 2, 4
HIDDEN_AND_SHOWN = [[0, 255], [0, 255]]


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(bits: int, colour_type: int, row: bytes, transparent: bytes | None = None) -> bytes:
    """A PNG file of two equal rows of two pixels (PNG specification, sections 11.2 and 11.3)."""
    header = struct.pack(">IIBBBBB", 2, 2, bits, colour_type, 0, 0, 0)
    key = b"" if transparent is None else chunk(b"tRNS", transparent)
    pixels = chunk(b"IDAT", zlib.compress(2 * (b"\0" + row)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + key + pixels + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("bits", "colour_type", "row", "transparent"),
    [
        (1, GREY, b"\x80", b"\0\x01"),
        (2, GREY, b"\x90", b"\0\x02"),
        (4, GREY, b"\xf5", b"\0\x0f"),
        (8, GREY, b"\x0f\xff", b"\0\x0f"),
        (16, GREY, b"\x12\x34\xff\xff", b"\x12\x34"),
        (16, RGB, b"\x12\x34\x56\x78\x9a\xbc" + bytes(6), b"\x12\x34\x56\x78\x9a\xbc"),
    ],
)
def test_a_transparent_colour_is_found_whatever_the_bits(
    bits: int, colour_type: int, row: bytes, transparent: bytes
) -> None:
    with Image.open(io.BytesIO(png(bits, colour_type, row, transparent))) as image:
        picture = to_picture(image)
        again = to_picture(image)
    assert picture.alpha is not None
    assert again.alpha is not None
    np.testing.assert_array_equal(picture.alpha, HIDDEN_AND_SHOWN)
    np.testing.assert_array_equal(again.alpha, HIDDEN_AND_SHOWN)


def test_16_bit_grey_with_alpha_stays_grey() -> None:
    row = b"\x80\x00\xff\xff" + b"\x20\x00\x40\x00"
    with Image.open(io.BytesIO(png(16, GREY_ALPHA, row))) as image:
        picture = to_picture(image)
    assert picture.model == "L"
    np.testing.assert_array_equal(picture.pixels[0, :, 0], [0x80, 0x20])
    assert picture.alpha is not None
    np.testing.assert_array_equal(picture.alpha[0], [255, 0x40])
