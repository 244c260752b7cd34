"""Exif blocks, corrected in place.

Writing a block anew would break the maker notes in it, which point to places in the
block. So only the values that the coded picture makes wrong are changed, where they stand.

Source: Exif 2.32 (CIPA DC-008), section 4.6; TIFF 6.0, section 2.
"""

from __future__ import annotations

import struct
from fractions import Fraction
from typing import NamedTuple

_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
_SHORT, _LONG, _RATIONAL = 3, 4, 5
_INTEGERS = {_SHORT: "H", _LONG: "I"}
_MAXIMA = {_SHORT: 0xFFFF, _LONG: 0xFFFF_FFFF}
_ENTRY_BYTES = 12

_IMAGE_WIDTH, _IMAGE_LENGTH = 0x0100, 0x0101
_ORIENTATION = 0x0112
_X_RESOLUTION, _Y_RESOLUTION = 0x011A, 0x011B
_THUMBNAIL_OFFSET, _THUMBNAIL_LENGTH = 0x0201, 0x0202
_JPEG_START = b"\xff\xd8"
_EXIF_DIRECTORY = 0x8769
_PIXEL_WIDTH, _PIXEL_HEIGHT = 0xA002, 0xA003


class _Field(NamedTuple):
    """Type of a value, how many of them there are, and where they stand in the block."""

    type_id: int
    length: int
    offset: int


class _Directory(NamedTuple):
    """Fields by tag, and where the offset of the next directory stands."""

    fields: dict[int, _Field]
    next_at: int


def clean_exif(block: bytes) -> bytes:
    """An Exif block for a picture that was turned upright: orientation 1, no thumbnail.

    Args:
        block: from its TIFF header on, without "Exif" before it.

    Returns:
        The corrected block; empty where it told nothing but the orientation.

    Raises:
        ValueError: its header or first directory is damaged.
    """
    changed = bytearray(block)
    order = _byte_order(block)
    first = _directory(block, order, _unpack(order, "I", block, 4))
    if set(first.fields) <= {_ORIENTATION}:
        return b""
    _put_integer(changed, order, first.fields.get(_ORIENTATION), 1)
    return bytes(_drop_thumbnail(changed, order, first.next_at))


def fit_exif(block: bytes, width_px: int, height_px: int, *, scale: int | Fraction) -> bytes:
    """The block with these sides, and resolutions `scale` times as high, where it tells any.

    Args:
        block: what clean_exif gave.
        width_px: of the picture as it is now.
        height_px: of the picture as it is now.
        scale: its sides over those of the picture that the block was made for.

    Raises:
        ValueError: as clean_exif.
    """
    changed = bytearray(block)
    order = _byte_order(block)
    first = _directory(block, order, _unpack(order, "I", block, 4)).fields
    _put_integer(changed, order, first.get(_IMAGE_WIDTH), width_px)
    _put_integer(changed, order, first.get(_IMAGE_LENGTH), height_px)
    for tag in (_X_RESOLUTION, _Y_RESOLUTION):
        _scale_rational(changed, order, first.get(tag), scale)
    further = _exif_directory(block, order, first)
    _put_integer(changed, order, further.get(_PIXEL_WIDTH), width_px)
    _put_integer(changed, order, further.get(_PIXEL_HEIGHT), height_px)
    return bytes(changed)


def point_to(tiff: bytearray, tag: int, offset: int) -> None:
    """Make a tag of a TIFF file, a pointer in its first directory, point to an offset, in place.

    Raises:
        ValueError: there is no such pointer.
    """
    order = _byte_order(tiff)
    fields = _directory(tiff, order, _unpack(order, "I", tiff, 4)).fields
    if tag not in fields or fields[tag].length != 1:
        raise ValueError(f"no tag {tag:#06x}")
    struct.pack_into(order + "I", tiff, fields[tag].offset, offset)


def _byte_order(block: bytes | bytearray) -> str:
    order = _ORDERS.get(bytes(block[:4]))
    if order is None:
        raise ValueError("no TIFF header")
    return order


def _unpack(order: str, code: str, block: bytes | bytearray, offset: int) -> int:
    """One unsigned number; ValueError beyond the end of the block."""
    try:
        (value,) = struct.unpack_from(order + code, block, offset)
    except struct.error as error:
        raise ValueError("a directory points beyond the end") from error
    return int(value)


def _directory(block: bytes | bytearray, order: str, at: int) -> _Directory:
    """The directory at an offset; fields whose values lie beyond the end are left out."""
    count = _unpack(order, "H", block, at)
    end = at + 2 + count * _ENTRY_BYTES
    if count == 0 or end > len(block):
        raise ValueError("a directory is empty or cut short")
    fields = {}
    for entry in range(at + 2, end, _ENTRY_BYTES):
        tag, type_id, values = struct.unpack_from(order + "HHI", block, entry)
        size_bytes = _TYPE_BYTES.get(type_id, 1) * values
        offset = entry + 8 if size_bytes <= 4 else _unpack(order, "I", block, entry + 8)
        if offset + size_bytes <= len(block):
            fields[tag] = _Field(type_id, values, offset)
    return _Directory(fields, end)


def _exif_directory(block: bytes, order: str, first: dict[int, _Field]) -> dict[int, _Field]:
    """Its fields; none where it is not there or damaged, the rest of the block being good."""
    pointer = first.get(_EXIF_DIRECTORY)
    if pointer is None:
        return {}
    try:
        return _directory(block, order, _unpack(order, "I", block, pointer.offset)).fields
    except ValueError:
        return {}


def _put_integer(block: bytearray, order: str, field: _Field | None, value: int) -> None:
    """Write a value where there is such a field and it can hold it."""
    if field is not None and field.length == 1 and value <= _MAXIMA.get(field.type_id, -1):
        struct.pack_into(order + _INTEGERS[field.type_id], block, field.offset, value)


def _scale_rational(
    block: bytearray, order: str, field: _Field | None, scale: int | Fraction
) -> None:
    if field is not None and field.length == 1 and field.type_id == _RATIONAL:
        numerator = _unpack(order, "I", block, field.offset) * scale.numerator
        denominator = _unpack(order, "I", block, field.offset + 4) * scale.denominator
        if max(numerator, denominator) <= _MAXIMA[_LONG]:
            struct.pack_into(order + "II", block, field.offset, numerator, denominator)


def _drop_thumbnail(block: bytearray, order: str, next_at: int) -> bytearray:
    """Unlink the second directory and blank its picture, or cut it off where it comes last."""
    if next_at + 4 > len(block):
        return block  # some writers leave the offset of a second directory out
    second_at = _unpack(order, "I", block, next_at)
    struct.pack_into(order + "I", block, next_at, 0)
    try:
        fields = _directory(block, order, second_at).fields
        start, length = (
            _unpack(order, "I", block, fields[tag].offset)
            for tag in (_THUMBNAIL_OFFSET, _THUMBNAIL_LENGTH)
        )
    except (KeyError, ValueError):
        return block  # none there: the offset was 0, or pointed nowhere
    if start <= next_at or not block.startswith(_JPEG_START, start):
        return block  # a pointer that is out of date: what stands there is something else
    end = min(start + length, len(block))
    if end >= len(block) - 1:  # blocks are padded to even lengths
        return block[:start]
    block[start:end] = bytes(max(0, end - start))
    return block
