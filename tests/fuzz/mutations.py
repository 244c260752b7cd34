"""Ways to break a .cdsr file: blindly, or knowing its parts, under a right byte CRC or not."""

from __future__ import annotations

import string
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from cdsrcodec.chunks.blocks import pack_block, unpack_block
from cdsrcodec.container import kinds, read_stream
from cdsrcodec.container.header import MAGIC
from cdsrcodec.container.stream import WORD_BYTES
from cdsrcodec.container.varint import pack_varint

BLOCK_MAX_BYTES = 2**22
SIDES_PX = (0, 1, 2, 3, 15, 16, 17, 64, 65, 127, 128, 255, 16_383, 16_384, 2**21 - 1, 2**21)
COUNTS = (0, 1, 2, 3, 255, 256, 16_383)
LENGTHS_BYTES = (0, 1, 2, 127, 128, 2**14, 2**21, 2**26, 2**26 + 1, 2**35 - 1)
# Cut short, not in the shortest form, too long.
BAD_VARINTS = (b"", b"\x80", b"\x80\x00", b"\xff\xff\x80\x00", b"\xff\xff\xff\x7f", b"\xff" * 6)
BYTES = (0, 1, 2, 8, 0x7F, 0x80, 224, 225, 0xFF)
WORDS = (0, 1, 2**24, 2**31, 2**32 - 1)
# Deflated, a few KB each.
BOMB_ROWS = zlib.compress(bytes(2**22), 9)
BOMB_BLOCK = pack_block(bytes(BLOCK_MAX_BYTES + 1))

_WIDTH_OFFSET = 11


@dataclass
class RawChunk:
    """A chunk as bytes, right or wrong."""

    kind: bytes
    length: bytes
    data: bytes

    def replace_data(self, data: bytes) -> None:
        """Other data, under their right length."""
        self.data, self.length = data, pack_varint(len(data))


@dataclass
class RawStream:
    """A stream as bytes, right or wrong; `fixed` goes from version to quality_code."""

    fixed: bytes
    width: bytes
    height: bytes
    symbol_crc: bytes
    count: bytes  # empty without chunks
    chunks: list[RawChunk]
    payload: bytes

    @classmethod
    def split(cls, data: bytes) -> RawStream:
        """The parts of a valid stream."""
        stream = read_stream(data)
        chunks = [RawChunk(c.kind, pack_varint(len(c.data)), c.data) for c in stream.chunks]
        return cls(
            data[len(MAGIC) : _WIDTH_OFFSET],
            pack_varint(stream.header.width_px),
            pack_varint(stream.header.height_px),
            stream.header.symbol_crc.to_bytes(4, "little"),
            pack_varint(len(chunks)) if chunks else b"",
            chunks,
            stream.payload,
        )

    def join(self) -> bytes:
        """The parts put together again, under a right byte CRC."""
        before = MAGIC + self.fixed + self.width + self.height
        chunks = b"".join(chunk.kind + chunk.length + chunk.data for chunk in self.chunks)
        after = self.symbol_crc + self.count + chunks + self.payload
        return before + zlib.crc32(before + after).to_bytes(4, "little") + after

    def recount(self) -> None:
        """Let the count and its flag be those of the chunks."""
        self.count = pack_varint(len(self.chunks)) if self.chunks else b""
        self.fixed = self.fixed[:1] + bytes((bool(self.chunks),)) + self.fixed[2:]


def signed(data: bytes) -> bytes:
    """The data with a right byte CRC, if they are long enough to hold one."""
    offset = _WIDTH_OFFSET
    for _ in range(2):  # width and height end in a byte without the high bit
        while offset < len(data) and data[offset] & 0x80:
            offset += 1
        offset += 1
    if len(data) < offset + 8:
        return data
    before, after = data[:offset], data[offset + 4 :]
    return before + zlib.crc32(before + after).to_bytes(4, "little") + after


def change_bytes(rng: Random, data: bytes) -> bytes:
    """One to three bits flipped, bytes changed, or up to 4 bytes inserted or deleted."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 3)):
        at, way = rng.randrange(len(changed) + 1), rng.randrange(4)
        if way == 0:
            changed[at:at] = rng.randbytes(rng.randint(1, 4))
        elif way == 1:
            del changed[at : at + rng.randint(1, 4)]
        elif at < len(changed):
            changed[at] = changed[at] ^ 1 << rng.randrange(8) if way == 2 else _odd_byte(rng)
    return bytes(changed)


def change_stream(rng: Random, data: bytes) -> bytes:
    """Of a valid stream: one in ten under a wrong byte CRC, most changed in whole parts."""
    way = rng.random()
    if way < 0.1:
        return change_bytes(rng, data)
    if way < 0.3:
        return signed(change_bytes(rng, data))
    return _change_parts(rng, data, [_change_header, _change_chunks, _change_words])


def change_chunks(rng: Random, data: bytes) -> bytes:
    """A valid stream with other chunks, most of them well-formed as chunks."""
    return _change_parts(rng, data, [_change_chunks])


def change_payload(rng: Random, data: bytes) -> bytes:
    """A valid stream with another payload, now and then under another header."""
    return _change_parts(rng, data, [_change_words, _change_words, _change_words, _change_header])


Change = Callable[[Random, RawStream], None]


def _change_parts(rng: Random, data: bytes, changes: list[Change]) -> bytes:
    raw = RawStream.split(data)
    for _ in range(rng.randint(1, 3)):
        rng.choice(changes)(rng, raw)
    return raw.join()


def _change_header(rng: Random, raw: RawStream) -> None:
    way = rng.randrange(5)
    if way == 0:
        at = rng.randrange(len(raw.fixed))
        raw.fixed = raw.fixed[:at] + bytes((_odd_byte(rng),)) + raw.fixed[at + 1 :]
    elif way == 1:
        raw.fixed = raw.fixed[:-1] + bytes((rng.randrange(225),))
    elif way == 2:
        raw.width = _odd_varint(rng, SIDES_PX)
    elif way == 3:
        raw.height = _odd_varint(rng, SIDES_PX)
    else:
        raw.symbol_crc = rng.randbytes(4)


def _change_chunks(rng: Random, raw: RawStream) -> None:
    way = rng.randrange(10)
    if way == 0:
        raw.count = _odd_varint(rng, COUNTS)
    elif way <= 2 or not raw.chunks:
        kind = rng.choice(kinds.REGISTERED)
        data = rng.choice((b"", rng.randbytes(rng.randint(1, 40)), BOMB_BLOCK, b"\x08" + BOMB_ROWS))
        place = rng.randint(0, len(raw.chunks))
        raw.chunks.insert(place, RawChunk(kind, pack_varint(len(data)), data))
        raw.recount()
    elif way == 3:
        raw.chunks.append(rng.choice(raw.chunks))
        raw.recount()
    elif way == 4:
        raw.chunks.pop(rng.randrange(len(raw.chunks)))
        raw.recount()
    else:
        _change_chunk(rng, rng.choice(raw.chunks))


def _change_chunk(rng: Random, chunk: RawChunk) -> None:
    way = rng.randrange(8)
    if way == 0:
        letters = "".join(rng.choices(string.ascii_letters, k=4)).encode()
        chunk.kind = rng.choice((*kinds.REGISTERED, letters, letters.lower(), rng.randbytes(4)))
    elif way == 1:
        chunk.length = _odd_varint(rng, LENGTHS_BYTES)
    elif way == 2:
        chunk.replace_data(change_bytes(rng, chunk.data))
    elif way == 3:
        chunk.replace_data(chunk.data[: rng.randint(0, len(chunk.data))])
    else:
        chunk.replace_data(_change_content(rng, chunk))


def _change_content(rng: Random, chunk: RawChunk) -> bytes:
    """The data with other content under their compression, where they have one."""
    try:
        if chunk.kind == kinds.ALPHA:
            rows = change_bytes(rng, zlib.decompress(chunk.data[1:]))
            bits = rng.choice((chunk.data[0], 1, 8))
            return bytes((bits,)) + zlib.compress(rows, rng.choice((0, 9)))
        return pack_block(change_bytes(rng, unpack_block(chunk.data, max_bytes=BLOCK_MAX_BYTES)))
    except (ValueError, zlib.error):  # it is changed already, or of another kind
        return change_bytes(rng, chunk.data)


def _change_words(rng: Random, raw: RawStream) -> None:
    at = WORD_BYTES * rng.randint(0, len(raw.payload) // WORD_BYTES)
    words = rng.choice(WORDS).to_bytes(4, "little") if rng.random() < 0.5 else rng.randbytes(4)
    way = rng.randrange(5)
    if way == 0:  # inserted
        raw.payload = raw.payload[:at] + words + raw.payload[at:]
    elif way == 1:  # replaced
        raw.payload = raw.payload[:at] + words + raw.payload[at + WORD_BYTES :]
    elif way == 2:  # deleted
        raw.payload = raw.payload[:at] + raw.payload[at + WORD_BYTES * rng.randint(1, 3) :]
    elif way == 3:  # all of them others
        raw.payload = rng.randbytes(WORD_BYTES * rng.randint(0, 300))
    else:
        raw.payload = change_bytes(rng, raw.payload)


def _odd_byte(rng: Random) -> int:
    return rng.choice(BYTES) if rng.random() < 0.5 else rng.randrange(256)


def _odd_varint(rng: Random, values: tuple[int, ...]) -> bytes:
    return rng.choice(BAD_VARINTS) if rng.random() < 0.3 else pack_varint(rng.choice(values))
