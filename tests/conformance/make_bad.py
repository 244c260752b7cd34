"""Writes the bad streams of the conformance set: a file for each way to break a rule.

    python -m tests.conformance.make_bad

They are made from valid ones, so the same bytes come out every time.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from cdsrcodec import errors
from cdsrcodec.container.varint import pack_varint
from tests.fuzz.mutations import RawChunk, RawStream

HERE = Path(__file__).resolve().parent / "bad"
VALID = HERE.parent / "valid"
PLAIN = (VALID / "pixel-1x1-q4.cdsr").read_bytes()
MASKED = (VALID / "grey-mask-21x19-q4.cdsr").read_bytes()
MASK_ROWS, MASK_ROW_BYTES = 19, 4
CRC_OFFSET = 13


class Bad(NamedTuple):
    """A bad stream, the error it must end in, and the step of docs/format.md that finds it."""

    data: bytes
    error: str
    step: int


def plain(*, count: bytes = b"", chunks: tuple[RawChunk, ...] = (), **fields: bytes) -> bytes:
    """The picture of one pixel with other fields; with a count or chunks, their flag is set."""
    raw = RawStream.split(PLAIN)
    for name, value in fields.items():
        setattr(raw, name, value)
    raw.chunks = list(chunks)
    if chunks:
        raw.recount()
    if count:
        raw.count, raw.fixed = count, raw.fixed[:1] + b"\x01" + raw.fixed[2:]
    return raw.join()


def fixed(offset: int, value: bytes) -> bytes:
    """The picture of one pixel with other bytes at an offset of the file, 3 to 10."""
    whole = RawStream.split(PLAIN).fixed
    return plain(fixed=whole[: offset - 3] + value + whole[offset - 3 + len(value) :])


def chunk(kind: bytes, data: bytes = b"", length: bytes | None = None) -> bytes:
    """The picture of one pixel with a chunk."""
    raw = RawChunk(kind, pack_varint(len(data)) if length is None else length, data)
    return plain(chunks=(raw,))


def masked(change: Callable[[RawStream], None]) -> bytes:
    """The picture with a 1-bit alpha plane, changed."""
    raw = RawStream.split(MASKED)
    change(raw)
    raw.recount()
    return raw.join()


def mask(data: bytes) -> bytes:
    """The same with other data in its ALPH chunk."""
    return masked(lambda raw: raw.chunks[0].replace_data(data))


def mask_rows(rows: int, *, filter_type: int = 0, behind: bytes = b"") -> bytes:
    """The same with so many rows of a filter; stored, so that every zlib gives the same bytes."""
    row = bytes((filter_type,)) + bytes(MASK_ROW_BYTES - 1)
    return mask(b"\x01" + zlib.compress(rows * row, 0) + behind)


def payload(change: Callable[[bytes], bytes]) -> bytes:
    """The picture of one pixel with another payload."""
    return plain(payload=change(RawStream.split(PLAIN).payload))


def damaged_mask() -> bytes:
    """A plane whose own checksum fails."""
    data = RawStream.split(MASKED).chunks[0].data
    return mask(data[:-1] + bytes((data[-1] ^ 1,)))


BAD = {
    "empty": Bad(b"", "BadMagicError", 1),
    "cut-in-magic": Bad(PLAIN[:2], "BadMagicError", 1),
    "magic-of-png": Bad(b"\x89PNG" + PLAIN[4:], "BadMagicError", 1),
    "cut-before-version": Bad(PLAIN[:3], "TruncatedStreamError", 2),
    "version-0": Bad(fixed(3, b"\x00"), "UnsupportedVersionError", 2),
    "version-2": Bad(fixed(3, b"\x02"), "UnsupportedVersionError", 2),
    "cut-in-entropy-tag": Bad(PLAIN[:8], "TruncatedStreamError", 3),
    "cut-before-height": Bad(PLAIN[:12], "TruncatedStreamError", 4),
    "width-not-shortest": Bad(plain(width=b"\x81\x00"), "FormatError", 4),
    "height-of-4-bytes": Bad(plain(height=b"\x81\x81\x81\x01"), "FormatError", 4),
    "cut-in-symbol-crc": Bad(PLAIN[: CRC_OFFSET + 7], "TruncatedStreamError", 5),
    "flipped-bit": Bad(PLAIN[:-1] + bytes((PLAIN[-1] ^ 1,)), "ChecksumError", 6),
    "cut-in-payload": Bad(PLAIN[:-4], "ChecksumError", 6),
    "reserved-flag": Bad(fixed(4, b"\x02"), "FormatError", 7),
    "quality-code-225": Bad(fixed(10, b"\xe1"), "FormatError", 8),
    "width-0": Bad(plain(width=b"\x00"), "FormatError", 9),
    "height-0": Bad(plain(height=b"\x00"), "FormatError", 9),
    "4-terapixels": Bad(plain(width=b"\xff\xff\x7f", height=b"\xff\xff\x7f"), "LimitError", 10),
    "cut-before-count": Bad(plain(count=b"\x81", payload=b""), "TruncatedStreamError", 11),
    "count-0": Bad(plain(count=b"\x00"), "FormatError", 11),
    "count-256": Bad(plain(count=b"\x80\x02"), "FormatError", 11),
    "cut-in-kind": Bad(plain(count=b"\x01", payload=b"ex"), "TruncatedStreamError", 12),
    "kind-of-digits": Bad(chunk(b"ex1f"), "FormatError", 12),
    "unknown-critical": Bad(chunk(b"Ruin", b"abc"), "UnknownCriticalChunkError", 12),
    "length-of-6-bytes": Bad(chunk(b"exif", length=b"\x81" * 5 + b"\x01"), "FormatError", 12),
    "chunk-above-64-MiB": Bad(chunk(b"exif", length=pack_varint(2**26 + 1)), "LimitError", 12),
    "chunk-beyond-end": Bad(chunk(b"exif", length=pack_varint(2**26)), "TruncatedStreamError", 12),
    "payload-of-5-bytes": Bad(plain(payload=b"12345"), "FormatError", 13),
    "two-alpha-planes": Bad(
        masked(lambda raw: raw.chunks.append(raw.chunks[0])), "FormatError", 14
    ),
    "alpha-empty": Bad(mask(b""), "FormatError", 14),
    "alpha-of-2-bits": Bad(mask(b"\x02" + bytes(9)), "FormatError", 14),
    "alpha-row-missing": Bad(mask_rows(MASK_ROWS - 1), "FormatError", 14),
    "alpha-row-too-many": Bad(mask_rows(MASK_ROWS + 1), "FormatError", 14),
    "alpha-filter-5": Bad(mask_rows(MASK_ROWS, filter_type=5), "FormatError", 14),
    "alpha-followed": Bad(mask_rows(MASK_ROWS, behind=b"more"), "FormatError", 14),
    "alpha-damaged": Bad(damaged_mask(), "FormatError", 14),
    "model-200": Bad(fixed(5, b"\xc8"), "ModelError", 15),
    "other-entropy-tag": Bad(fixed(6, b"\xde\xad\xbe\xef"), "ModelError", 15),
    "other-symbol-crc": Bad(plain(symbol_crc=b"\xde\xad\xbe\xef"), "DesyncError", 16),
    "last-word-0": Bad(payload(lambda words: words + bytes(4)), "DesyncError", 16),
    "word-missing": Bad(payload(lambda words: words[4:]), "DesyncError", 16),
    "word-too-many": Bad(payload(lambda words: b"1234" + words), "DesyncError", 16),
    "payload-empty": Bad(payload(lambda _: b""), "DesyncError", 16),
}


def main(folder: Path) -> None:
    """Write all of them and expected.json."""
    expected = {}
    for why, bad in BAD.items():
        name = f"{bad.error}__{why}.cdsr"
        (folder / name).write_bytes(bad.data)
        exit_code = getattr(errors, bad.error).exit_code
        expected[name] = {"error": bad.error, "exit_code": exit_code, "step": bad.step}
    lines = (f"{json.dumps(name)}: {json.dumps(fields)}" for name, fields in expected.items())
    (folder / "expected.json").write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main(HERE)
