"""An alpha plane as the image data of a PNG: lossless, and of a size known beforehand."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cdsrcodec.chunks.blocks import inflate
from cdsrcodec.errors import FormatError
from cdsrcodec.imageio.alpha import OPAQUE, is_mask

_MODES = {1: "1", 8: "L"}  # bits per sample -> Pillow's mode
_LAST_FILTER = 4  # of PNG: none, sub, up, average, Paeth
_HINT = "hint: it was damaged or made wrongly, fetch or encode it again"


def pack_plane(alpha: NDArray[np.uint8]) -> bytes:
    """The data of an ALPH chunk: bits per sample, then the data of PNG's IDAT chunks.

    Args:
        alpha: uint8 (H, W). Of 0 and 255 only, it takes a bit per sample where that is shorter.
    """
    packed = _pack(Image.fromarray(alpha), 8)
    if is_mask(alpha):
        packed = min(packed, _pack(Image.fromarray(alpha == OPAQUE), 1), key=len)
    return packed


def _pack(plane: Image.Image, bits: int) -> bytes:
    optimise, level, strategy, dictionary = True, 9, -1, b""
    encoded = plane.tobytes("zip", _MODES[bits], optimise, level, strategy, dictionary)
    return bytes((bits,)) + encoded


def unpack_plane(data: bytes, width_px: int, height_px: int, *, offset: int) -> NDArray[np.uint8]:
    """The alpha plane of an ALPH chunk, uint8 (H, W).

    Args:
        data: the data of the chunk.
        width_px: of the picture.
        height_px: of the picture; the product was checked against the limits.
        offset: where the data began in the file, for messages.

    Raises:
        FormatError: not exactly one whole plane of this size.
    """
    bits = data[0] if data else 0
    if bits not in _MODES:
        raise FormatError(f"an alpha plane of {bits} bits is unknown. {_HINT}", offset=offset)
    row_bytes = 1 + -(-width_px * bits // 8)  # a filter byte before each row
    try:
        rows = inflate(data[1:], max_bytes=row_bytes * height_px)
        if len(rows) != row_bytes * height_px:
            raise ValueError("its size is not that of the picture")
        if max(rows[::row_bytes]) > _LAST_FILTER:
            raise ValueError("one of its rows has an unknown filter")
        size = (width_px, height_px)
        plane = Image.frombytes(_MODES[bits], size, data[1:], "zip", _MODES[bits])
    except ValueError as error:
        raise FormatError(f"the alpha plane cannot be read: {error}. {_HINT}", offset=offset) from (
            error
        )
    return np.asarray(plane.convert("L"))
