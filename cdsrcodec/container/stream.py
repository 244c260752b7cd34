"""A whole .cdsr stream: header, optional chunks, payload.

A stream has exactly one spelling: whatever `read_stream` accepts, `write_stream`
gives back byte by byte.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cdsrcodec.container.header import Header, pack_header, read_header
from cdsrcodec.container.kinds import UNDERSTOOD
from cdsrcodec.container.limits import Limits
from cdsrcodec.container.varint import pack_varint, read_varint
from cdsrcodec.errors import (
    FormatError,
    LimitError,
    TruncatedStreamError,
    UnknownCriticalChunkError,
)

WORD_BYTES = 4
MAX_CHUNKS = 255
COUNT_MAX_BYTES = 2
KIND_BYTES = 4
LENGTH_MAX_BYTES = 5

_DEFAULT_LIMITS = Limits()


@dataclass(frozen=True)
class Chunk:
    """Something beside the picture's symbols: an alpha plane, an ICC profile.

    Attributes:
        kind: 4 ASCII letters; the registry is in docs/format.md.
        data: any bytes.
        offset: where `data` began in the file that it was read from, for messages.

    Raises:
        ValueError: `kind` is something else, or `data` is 2^35 bytes or more.
    """

    kind: bytes
    data: bytes
    offset: int = field(default=0, compare=False)

    def __post_init__(self) -> None:
        """Refuse what the format cannot hold."""
        if not _is_kind(self.kind):
            raise ValueError(f"a chunk kind must be {KIND_BYTES} ASCII letters, not {self.kind!r}")
        if len(self.data) >> 7 * LENGTH_MAX_BYTES:
            raise ValueError(f"a chunk cannot hold {len(self.data)} bytes")

    @property
    def is_critical(self) -> bool:
        """Whether a reader that does not understand the chunk must refuse the stream."""
        return _is_critical(self.kind)


@dataclass(frozen=True)
class Stream:
    """A parsed .cdsr stream.

    Attributes:
        header: the fixed fields.
        chunks: in file order, at most 255; unknown optional ones are kept.
        payload: ANS words, 32-bit little-endian: 0, 4, 8 ... bytes.

    Raises:
        ValueError: too many chunks, or a payload that is not whole words.
    """

    header: Header
    chunks: tuple[Chunk, ...]
    payload: bytes

    def __post_init__(self) -> None:
        """Refuse what the format cannot hold."""
        if len(self.chunks) > MAX_CHUNKS:
            raise ValueError(f"a stream holds {MAX_CHUNKS} chunks at most, not {len(self.chunks)}")
        if len(self.payload) % WORD_BYTES:
            raise ValueError(f"a payload of {len(self.payload)} bytes is not whole 32-bit words")


def write_stream(stream: Stream) -> bytes:
    """The file of `stream`, with its byte CRC.

    The limits of a reader are not applied: they are a matter of its memory.
    """
    chunks = _pack_chunks(stream.chunks)
    header = pack_header(
        stream.header, has_chunks=bool(stream.chunks), tail=(chunks, stream.payload)
    )
    return b"".join((header, chunks, stream.payload))


def read_stream(
    data: bytes,
    *,
    limits: Limits = _DEFAULT_LIMITS,
    understood: frozenset[bytes] = UNDERSTOOD,
) -> Stream:
    """Parse and check a whole .cdsr file.

    Args:
        data: the file, from its first byte to its last.
        limits: what to accept of what the format allows.
        understood: kinds of the critical chunks that the caller can handle; those of this
            program unless told.

    Raises:
        BadMagicError: not a .cdsr file, or an empty one.
        UnsupportedVersionError: written by a later version.
        TruncatedStreamError: ends inside its header or a chunk.
        ChecksumError: damaged, or cut short after its header.
        LimitError: more pixels or chunk bytes than `limits` allow.
        UnknownCriticalChunkError: a critical chunk that is not `understood`.
        FormatError: any other rule of docs/format.md is broken.
    """
    header, has_chunks, offset = read_header(data)
    pixels = header.width_px * header.height_px
    if pixels > limits.max_pixels:
        raise LimitError(
            f"the picture is {header.width_px}x{header.height_px}, {pixels} pixels: "
            f"more than {_told(limits.max_pixels)}"
        )
    chunks: tuple[Chunk, ...] = ()
    if has_chunks:
        chunks, offset = _read_chunks(data, offset, limits.max_chunk_bytes, understood)
    payload_bytes = len(data) - offset
    if payload_bytes % WORD_BYTES:
        raise FormatError(
            f"a payload of {payload_bytes} bytes is not whole 32-bit words", offset=offset
        )
    return Stream(header, chunks, data[offset:])


def _told(max_pixels: int) -> str:
    """A limit of pixels, and of a lower one than this reader's own, who has set it."""
    own = _DEFAULT_LIMITS.max_pixels
    if max_pixels < own:
        return f"the limit of {max_pixels}. hint: --max-pixels raises it, up to {own}"
    return f"this reader's limit of {max_pixels}"


def _pack_chunks(chunks: tuple[Chunk, ...]) -> bytes:
    if not chunks:
        return b""
    parts = [pack_varint(len(chunks))]
    for chunk in chunks:
        parts += (chunk.kind, pack_varint(len(chunk.data)), chunk.data)
    return b"".join(parts)


def _read_chunks(
    data: bytes, offset: int, budget_bytes: int, understood: frozenset[bytes]
) -> tuple[tuple[Chunk, ...], int]:
    count, next_offset = read_varint(data, offset, max_bytes=COUNT_MAX_BYTES)
    if not 1 <= count <= MAX_CHUNKS:
        raise FormatError(f"a chunk count of {count} is not 1 to {MAX_CHUNKS}", offset=offset)
    chunks = []
    for _ in range(count):
        chunk, next_offset = _read_chunk(data, next_offset, budget_bytes, understood)
        budget_bytes -= len(chunk.data)
        chunks.append(chunk)
    return tuple(chunks), next_offset


def _read_chunk(
    data: bytes, offset: int, budget_bytes: int, understood: frozenset[bytes]
) -> tuple[Chunk, int]:
    kind = data[offset : offset + KIND_BYTES]
    if len(kind) < KIND_BYTES:
        raise TruncatedStreamError("the file ends inside a chunk", offset=len(data))
    if not _is_kind(kind):
        raise FormatError(f"a chunk kind must be ASCII letters, not {kind!r}", offset=offset)
    if _is_critical(kind) and kind not in understood:
        raise UnknownCriticalChunkError(
            f"chunk {kind.decode('ascii')} must be understood to decode this file, and is not. "
            "hint: upgrade cdsrcodec",
            offset=offset,
        )
    length, start = read_varint(data, offset + KIND_BYTES, max_bytes=LENGTH_MAX_BYTES)
    if length > budget_bytes:
        raise LimitError(
            f"chunk {kind.decode('ascii')} of {length} bytes is more than the {budget_bytes} "
            "that this reader's limit leaves"
        )
    end = start + length
    if end > len(data):
        raise TruncatedStreamError("the file ends inside a chunk", offset=len(data))
    return Chunk(kind, data[start:end], start), end


def _is_kind(kind: bytes) -> bool:
    return len(kind) == KIND_BYTES and kind.isalpha()


def _is_critical(kind: bytes) -> bool:
    return kind[:1].isupper()
