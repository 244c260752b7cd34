"""Small chunks: what the source was, its size before reduction, and pixels per inch.

Standard library only, so that listing a file needs no more.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple, TypeVar

from cdsrcodec.container import Header, Stream, kinds
from cdsrcodec.container.varint import pack_varint, read_varint
from cdsrcodec.errors import FormatError

# Resolutions are stored in this part of a pixel per inch: whole numbers of pixels per
# inch, centimetre and metre all are multiples of it.
DPI_STEPS = 10_000
MAX_DPI_CODE = 100_000 * DPI_STEPS
_CODE_MAX_BYTES = 5
REDUCTION = 4  # what sr.registry, which stands beside this, calls UPSCALE
_SIDE_MAX_BYTES = 4
Fact = TypeVar("Fact")
_ORIGIN = re.compile(rb"(L|RGB|P|CMYK|YCbCr|LAB|HSV);(1|8|16|32)")


class Origin(NamedTuple):
    """Colour model and bits per sample of the picture that was encoded."""

    model: str
    bits: int

    def __str__(self) -> str:
        """As in the chunk, such as L;16."""
        return f"{self.model};{self.bits}"

    @property
    def is_grey(self) -> bool:
        """Whether the picture is to be given back in grey."""
        return self.model == "L"


PLAIN_ORIGIN = Origin("RGB", 8)


def pack_origin(origin: Origin) -> bytes:
    """The data of an `orig` chunk, such as L;16."""
    return str(origin).encode("ascii")


def unpack_origin(data: bytes) -> Origin:
    """The inverse of pack_origin.

    Raises:
        ValueError: anything else.
    """
    match = _ORIGIN.fullmatch(data)
    if match is None:
        raise ValueError("it names no known colour model and depth")
    return Origin(match[1].decode("ascii"), int(match[2]))


def origin_of(stream: Stream) -> Origin | None:
    """What the first well-formed `orig` chunk tells; None without one."""
    return _first(stream, kinds.ORIGIN, unpack_origin)


def pack_full_size(size_px: tuple[int, int]) -> bytes:
    """The data of a `full` chunk: a varint for the width, one for the height."""
    return b"".join(pack_varint(side_px) for side_px in size_px)


def unpack_full_size(data: bytes, header: Header) -> tuple[int, int]:
    """The inverse of pack_full_size.

    Raises:
        ValueError: anything else, or not the size of a picture that the native one of
            this header is a quarter of.
    """
    try:
        width_px, start = read_varint(data, 0, max_bytes=_SIDE_MAX_BYTES)
        height_px, end = read_varint(data, start, max_bytes=_SIDE_MAX_BYTES)
    except FormatError as error:
        raise ValueError("its numbers are malformed") from error
    quarters = (-(-width_px // REDUCTION), -(-height_px // REDUCTION))
    if end != len(data) or quarters != (header.width_px, header.height_px):
        raise ValueError("it is no size that the picture could have been reduced from")
    return width_px, height_px


def full_size_of(stream: Stream) -> tuple[int, int] | None:
    """What the first well-formed `full` chunk tells; None without one."""
    return _first(stream, kinds.FULL_SIZE, lambda data: unpack_full_size(data, stream.header))


def pack_resolution(dpi: tuple[float, float]) -> bytes:
    """The data of a `phys` chunk: a varint for both axes, or one for each."""
    x_code, y_code = (round(value * DPI_STEPS) for value in dpi)
    return pack_varint(x_code) + (b"" if x_code == y_code else pack_varint(y_code))


def unpack_resolution(data: bytes) -> tuple[float, float]:
    """The inverse of pack_resolution, to 1 / DPI_STEPS of a pixel per inch.

    Raises:
        ValueError: anything else, or a resolution of 0 or above the limit.
    """
    codes: list[int] = []
    end = 0
    try:
        while end < len(data) and len(codes) < 2:
            code, end = read_varint(data, end, max_bytes=_CODE_MAX_BYTES)
            codes.append(code)
    except FormatError as error:
        raise ValueError("its numbers are malformed") from error
    is_short = len(codes) == 1 or (len(codes) == 2 and codes[0] != codes[1])
    if end != len(data) or not is_short or not all(0 < c <= MAX_DPI_CODE for c in codes):
        raise ValueError("it is no resolution")
    return codes[0] / DPI_STEPS, codes[-1] / DPI_STEPS


def _first(stream: Stream, kind: bytes, unpack: Callable[[bytes], Fact]) -> Fact | None:
    """A malformed chunk counts as absent, so that the next one of its kind is the first."""
    for chunk in stream.chunks:
        if chunk.kind == kind:
            with suppress(ValueError):
                return unpack(chunk.data)
    return None
