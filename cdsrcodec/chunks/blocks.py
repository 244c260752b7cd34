"""A block of bytes, deflated where that is shorter, inflated within bounds."""

from __future__ import annotations

import zlib

_STORED, _DEFLATED = b"\x00", b"\x01"
_RAW_DEFLATE = -15  # window bits; no header and no checksum, the file has its own
_BEST = 9


def pack_block(block: bytes) -> bytes:
    """A method byte and the block, in the shorter form of the two."""
    compressor = zlib.compressobj(_BEST, zlib.DEFLATED, _RAW_DEFLATE)
    deflated = compressor.compress(block) + compressor.flush()
    return _DEFLATED + deflated if len(deflated) < len(block) else _STORED + block


def unpack_block(data: bytes, *, max_bytes: int) -> bytes:
    """The block that pack_block packed.

    Never holds more than max_bytes + 1 bytes of it.

    Raises:
        ValueError: an unknown method, an empty block, more than max_bytes, or a deflate
            stream that is damaged, cut short or followed by something.
    """
    method, packed = data[:1], data[1:]
    if method == _STORED:
        block = packed
    elif method == _DEFLATED:
        block = inflate(packed, max_bytes=max_bytes, window_bits=_RAW_DEFLATE)
    else:
        raise ValueError("its compression is unknown")
    if not 0 < len(block) <= max_bytes:
        raise ValueError(f"its size is not 1 to {max_bytes} bytes")
    return block


def inflate(packed: bytes, *, max_bytes: int, window_bits: int = zlib.MAX_WBITS) -> bytes:
    """Decompress exactly one whole stream.

    Returns:
        Up to max_bytes bytes. One more says that there would have been more.

    Raises:
        ValueError: damaged, cut short, or followed by something.
    """
    decompressor = zlib.decompressobj(window_bits)
    try:
        block = decompressor.decompress(packed, max_bytes + 1)
    except zlib.error as error:
        raise ValueError("its compressed data are damaged") from error
    if len(block) <= max_bytes and (not decompressor.eof or decompressor.unused_data):
        raise ValueError("its compressed data are cut short, or followed by something")
    return block
