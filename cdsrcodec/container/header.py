"""The header of a .cdsr stream: magic to symbol CRC, 21 to 25 bytes.

    CD 53 52 | version | flags | model_id | entropy_tag | quality_code
             | width | height | byte_crc | symbol_crc

byte_crc covers every other byte of the stream, so it is checked before any
field is trusted; only the two varints in front of it have to be parsed to find it.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from typing import NamedTuple

from cdsrcodec.container.varint import pack_varint, read_varint
from cdsrcodec.errors import (
    BadMagicError,
    ChecksumError,
    FormatError,
    TruncatedStreamError,
    UnsupportedVersionError,
)

MAGIC = b"\xcdSR"
FORMAT_VERSION = 1
CHUNKS_FLAG = 0x01
QUALITY_STEPS = 32  # codes per unit of quality
MIN_QUALITY, MAX_QUALITY = 1.0, 8.0
MAX_QUALITY_CODE = 224
SIDE_MAX_BYTES = 3
MAX_SIDE_PX = 2 ** (7 * SIDE_MAX_BYTES) - 1

_VERSION_OFFSET = len(MAGIC)
_FIXED_OFFSET = _VERSION_OFFSET + 1
_FIXED = struct.Struct("<BB4sB")  # flags, model_id, entropy_tag, quality_code
_QUALITY_OFFSET = _FIXED_OFFSET + 6
_WIDTH_OFFSET = _FIXED_OFFSET + _FIXED.size
_CRC = struct.Struct("<I")
_CRCS = struct.Struct("<II")  # byte_crc, symbol_crc


@dataclass(frozen=True)
class Header:
    """What a stream says about itself, apart from its chunks.

    Attributes:
        model_id: number of the codec in the registry of models, 0..255.
        entropy_tag: 4 bytes that name the entropy part which wrote the stream.
        quality_code: 0..224; `quality` in steps of 1/32.
        width_px: 1..2^21-1.
        height_px: 1..2^21-1.
        symbol_crc: CRC-32 of the integer symbols, 0..2^32-1; `codec` checks it.

    Raises:
        ValueError: a field is outside its range.
    """

    model_id: int
    entropy_tag: bytes
    quality_code: int
    width_px: int
    height_px: int
    symbol_crc: int

    def __post_init__(self) -> None:
        """Refuse what the format cannot hold."""
        if len(self.entropy_tag) != 4:
            raise ValueError(f"entropy_tag must be 4 bytes, not {len(self.entropy_tag)}")
        for name, low, high in (
            ("model_id", 0, 0xFF),
            ("quality_code", 0, MAX_QUALITY_CODE),
            ("width_px", 1, MAX_SIDE_PX),
            ("height_px", 1, MAX_SIDE_PX),
            ("symbol_crc", 0, 0xFFFF_FFFF),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"{name} must be {low} to {high}, not {value}")

    @property
    def quality(self) -> float:
        """The quality, 1.0 to 8.0, exact in binary."""
        return quality_of_code(self.quality_code)


class ParsedHeader(NamedTuple):
    """A header as read, and where to read on."""

    header: Header
    has_chunks: bool
    end_offset: int


def quality_code_of(quality: float) -> int:
    """The code of the nearest 1/32 of `quality` (1.0..8.0; a tie goes to the even code).

    Raises:
        ValueError: outside 1..8, or not a number.
    """
    if not MIN_QUALITY <= quality <= MAX_QUALITY:
        raise ValueError(f"quality must be {MIN_QUALITY:g} to {MAX_QUALITY:g}, not {quality}")
    return round((quality - MIN_QUALITY) * QUALITY_STEPS)


def quality_of_code(quality_code: int) -> float:
    """The quality that a code stands for, exact in binary."""
    return MIN_QUALITY + quality_code / QUALITY_STEPS


def pack_header(header: Header, *, has_chunks: bool, tail: Iterable[bytes]) -> bytes:
    """The bytes of `header`; `tail` is all that will follow them, for the byte CRC."""
    flags = CHUNKS_FLAG if has_chunks else 0
    head = b"".join(
        (
            MAGIC,
            bytes((FORMAT_VERSION,)),
            _FIXED.pack(flags, header.model_id, header.entropy_tag, header.quality_code),
            pack_varint(header.width_px),
            pack_varint(header.height_px),
        )
    )
    symbol_crc = _CRC.pack(header.symbol_crc)
    return head + _CRC.pack(_crc32((head, symbol_crc, *tail))) + symbol_crc


def read_header(data: bytes) -> ParsedHeader:
    """Parse and check the header of the whole stream `data`.

    Raises:
        FormatError: one of its subclasses or itself, for the first rule broken
            in the order of docs/format.md.
    """
    _check_magic_and_version(data)
    _require_bytes(data, _FIXED_OFFSET, _FIXED.size)
    flags, model_id, entropy_tag, quality_code = _FIXED.unpack_from(data, _FIXED_OFFSET)
    width_px, height_offset = read_varint(data, _WIDTH_OFFSET, max_bytes=SIDE_MAX_BYTES)
    height_px, crc_offset = read_varint(data, height_offset, max_bytes=SIDE_MAX_BYTES)
    _require_bytes(data, crc_offset, _CRCS.size)
    byte_crc, symbol_crc = _CRCS.unpack_from(data, crc_offset)
    _check_bytes(data, crc_offset, byte_crc)
    if flags & ~CHUNKS_FLAG:
        raise FormatError(f"reserved flags are set: {flags:#04x}", offset=_FIXED_OFFSET)
    if quality_code > MAX_QUALITY_CODE:
        raise FormatError(
            f"quality code {quality_code} is above {MAX_QUALITY_CODE}", offset=_QUALITY_OFFSET
        )
    for name, side_px, offset in (
        ("width", width_px, _WIDTH_OFFSET),
        ("height", height_px, height_offset),
    ):
        if side_px == 0:
            raise FormatError(f"the picture has a {name} of 0", offset=offset)
    header = Header(model_id, entropy_tag, quality_code, width_px, height_px, symbol_crc)
    return ParsedHeader(header, bool(flags & CHUNKS_FLAG), crc_offset + _CRCS.size)


def _check_magic_and_version(data: bytes) -> None:
    if not data:
        raise BadMagicError("the file is empty", offset=0)
    if not data.startswith(MAGIC):
        raise BadMagicError(
            "not a .cdsr file: it does not start with CD 53 52. "
            "hint: a picture has to be encoded first",
            offset=0,
        )
    _require_bytes(data, _VERSION_OFFSET, 1)
    version = data[_VERSION_OFFSET]
    if version != FORMAT_VERSION:
        raise UnsupportedVersionError(
            f"format version {version} is unknown here, version {FORMAT_VERSION} is read. "
            "hint: upgrade cdsrcodec",
            offset=_VERSION_OFFSET,
        )


def _require_bytes(data: bytes, offset: int, count: int) -> None:
    if len(data) < offset + count:
        raise TruncatedStreamError(
            "the file ends inside its header. hint: it was cut short, fetch it again",
            offset=len(data),
        )


def _check_bytes(data: bytes, crc_offset: int, byte_crc: int) -> None:
    view = memoryview(data)  # slices without copying the payload
    if _crc32((view[:crc_offset], view[crc_offset + _CRC.size :])) != byte_crc:
        raise ChecksumError(
            "the file is damaged or was cut short: its checksum fails. hint: fetch it again",
            offset=crc_offset,
        )


def _crc32(parts: Iterable[bytes | memoryview]) -> int:
    return reduce(lambda crc, part: zlib.crc32(part, crc), parts, 0)
