"""Writes golden streams, the valid ones of the conformance set, and what they decode to.

    python tests/conformance/make_valid.py

Golden files say what every later version must still read, so they are never made
anew: the program makes those of PICTURES that are not in valid/expected.json yet.
"""

from __future__ import annotations

import hashlib
import json
import struct
import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import cdsrcodec
from cdsrcodec.codec import decode_symbols
from cdsrcodec.container import Chunk, Stream, read_stream, write_stream
from cdsrcodec.models.registry import BMSHJ2018_HYPERPRIOR_GAIN, CDSR1

HERE = Path(__file__).resolve().parent / "valid"
SAMPLES = HERE.parents[2] / "sample_images"
MEANS_A_SIDE = 3


def photograph(name: str, box: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    """The part (left, top, right, bottom) of a sample image."""
    with Image.open(SAMPLES / name) as image:
        return np.asarray(image.convert("RGB").crop(box))


def black_and_white_noise() -> NDArray[np.uint8]:
    """What no photograph looks like: many symbols lie outside their tables."""
    return (255 * np.random.default_rng(0).integers(0, 2, (48, 48, 3))).astype(np.uint8)


def three_byte_row() -> NDArray[np.uint8]:
    """One row of grey, as long as the first width that takes three bytes."""
    return np.full((1, 16_384, 3), 128, np.uint8)


def soft_plane(width_px: int, height_px: int) -> bytes:
    """An 8-bit ALPH chunk by hand: stored, and with every filter of PNG."""
    rng = np.random.default_rng(5)
    rows = (bytes((y % 5,)) + rng.bytes(width_px) for y in range(height_px))
    return b"\x08" + zlib.compress(b"".join(rows), 0)


def mask_plane(width_px: int, height_px: int) -> bytes:
    """A 1-bit ALPH chunk by hand."""
    rng = np.random.default_rng(6)
    rows = (b"\0" + rng.bytes(-(-width_px // 8)) for _ in range(height_px))
    return b"\x01" + zlib.compress(b"".join(rows), 0)


def deflated(block: bytes) -> bytes:
    """A metadata chunk of method 01."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    return b"\x01" + compressor.compress(block) + compressor.flush()


def icc_profile() -> bytes:
    """A display profile by hand (ICC.1:2001-04): the primaries of sRGB with a gamma of 1.8."""
    points = {
        b"wtpt": (0.9642, 1.0, 0.8249),
        b"rXYZ": (0.4361, 0.2225, 0.0139),
        b"gXYZ": (0.3851, 0.7169, 0.0971),
        b"bXYZ": (0.1431, 0.0606, 0.7141),
    }
    tags = {
        name: b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(65536 * value) for value in point))
        for name, point in points.items()
    }
    curve = b"curv" + bytes(4) + struct.pack(">IHxx", 1, round(1.8 * 256))
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    table, body = struct.pack(">I", len(tags)), b""
    start = 128 + len(table) + 12 * len(tags)
    for name, data in tags.items():
        table += name + struct.pack(">II", start + len(body), len(data))
        body += data
    front = struct.pack(">I4xI4s4s4s", start + len(body), 0x02100000, b"mntr", b"RGB ", b"XYZ ")
    white = tags[b"wtpt"][8:]
    return front + bytes(12) + b"acsp" + bytes(28) + white + bytes(48) + table + body


def exif_block() -> bytes:
    """A big-endian Exif block with one field, the maker "cdsr"."""
    field = struct.pack(">HHI", 0x010F, 2, 5) + struct.pack(">I", 26)
    return b"MM\0*" + struct.pack(">IH", 8, 1) + field + bytes(4) + b"cdsr\0\0"


MALFORMED = (
    Chunk(b"zzzz", b"of a kind that nobody knows"),
    Chunk(b"orig", b"RGB;7"),
    Chunk(b"full", b"\x01\x01"),
    Chunk(b"phys", b"\x00"),
    Chunk(b"iccp", b"\x02of a method that nobody knows"),
    Chunk(b"exif", b"\x00II*\0"),
    Chunk(b"xmpm", b"\x00\xff is no UTF-8"),
)


@dataclass(frozen=True)
class Golden:
    """One golden stream: what was encoded, how and by what, and the chunks put beside it."""

    make: Callable[[], NDArray[np.uint8]]
    quality: float
    chunks: tuple[Chunk, ...] = ()
    codec: str = CDSR1


PICTURES = {
    "cat-96x80-q1": Golden(partial(photograph, "cat.png", (150, 60, 246, 140)), 1.0),
    "cat-96x80-q4": Golden(partial(photograph, "cat.png", (150, 60, 246, 140)), 4.0),
    "cat-96x80-q8": Golden(partial(photograph, "cat.png", (150, 60, 246, 140)), 8.0),
    "coffee-131x67-q2.59375": Golden(
        partial(photograph, "coffee.png", (170, 90, 301, 157)), 2.59375
    ),
    "rocket-64x112-q6": Golden(partial(photograph, "rocket.png", (300, 100, 364, 212)), 6.0),
    "row-300x1-q5": Golden(partial(photograph, "cat.png", (80, 100, 380, 101)), 5.0),
    "pixel-1x1-q4": Golden(partial(photograph, "coffee.png", (240, 160, 241, 161)), 4.0),
    "noise-48x48-q8": Golden(black_and_white_noise, 8.0),
    "chunks-33x20-q3": Golden(
        partial(photograph, "coffee.png", (200, 100, 233, 120)),
        3.0,
        (Chunk(b"orig", b"RGB;8"), Chunk(b"exif", bytes(range(200)))),
    ),
    "alpha-33x20-q3": Golden(
        partial(photograph, "coffee.png", (200, 100, 233, 120)),
        3.0,
        (Chunk(b"ALPH", soft_plane(33, 20)), Chunk(b"orig", b"P;8")),
    ),
    "grey-mask-21x19-q4": Golden(
        partial(photograph, "rocket.png", (300, 100, 321, 119)),
        4.0,
        (
            Chunk(b"ALPH", mask_plane(21, 19)),
            Chunk(b"orig", b"L;16"),
            Chunk(b"phys", bytes.fromhex("C08DB701")),
            Chunk(b"xmpm", b"\0<x:xmpmeta/>"),
        ),
    ),
    "metadata-30x17-q5": Golden(
        partial(photograph, "cat.png", (150, 100, 180, 117)),
        5.0,
        (
            Chunk(b"orig", b"P;8"),
            Chunk(b"full", bytes((120, 66))),
            Chunk(b"phys", bytes.fromhex("C08DB701 80897A")),
            Chunk(b"iccp", deflated(icc_profile())),
            Chunk(b"exif", b"\0" + exif_block()),
            Chunk(b"xmpm", deflated(b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>')),
        ),
    ),
    "malformed-optional-16x32-q2": Golden(
        partial(photograph, "coffee.png", (200, 100, 216, 132)), 2.0, MALFORMED
    ),
    "cmyk-column-1x40-q8": Golden(
        partial(photograph, "cat.png", (200, 100, 201, 140)), 8.0, (Chunk(b"orig", b"CMYK;8"),)
    ),
    "grey-15x15-q1": Golden(
        partial(photograph, "rocket.png", (300, 100, 315, 115)), 1.0, (Chunk(b"orig", b"L;1"),)
    ),
    "two-byte-sides-144x130-q1": Golden(
        partial(photograph, "coffee.png", (150, 60, 294, 190)), 1.0
    ),
    "three-byte-side-16384x1-q1": Golden(three_byte_row, 1.0),
}
# What is above was coded with entropy part 72383f26, these with those of 0.5.0 and 0.7.0, too.
PICTURES |= {
    f"{name}-{tag}": PICTURES[name]
    for tag in ("b27b82ab", "ae250cd6")
    for name in (
        "cat-96x80-q1",
        "cat-96x80-q8",
        "coffee-131x67-q2.59375",
        "row-300x1-q5",
        "pixel-1x1-q4",
        "noise-48x48-q8",
        "three-byte-side-16384x1-q1",
    )
}
PICTURES |= {
    f"{name}-gain": replace(PICTURES[name], codec=BMSHJ2018_HYPERPRIOR_GAIN)
    for name in (
        "cat-96x80-q1",
        "coffee-131x67-q2.59375",
        "rocket-64x112-q6",
        "row-300x1-q5",
        "pixel-1x1-q4",
    )
}
PICTURES["noise-48x48-q6-gain"] = Golden(
    black_and_white_noise, 6.0, codec=BMSHJ2018_HYPERPRIOR_GAIN
)


def encode(golden: Golden) -> bytes:
    """The stream, with its chunks."""
    data = cdsrcodec.encode(golden.make(), quality=golden.quality, codec=golden.codec, device="cpu")
    stream = read_stream(data)
    return write_stream(Stream(stream.header, golden.chunks, stream.payload))


def describe(data: bytes) -> dict[str, object]:
    """What a reader must find in the stream.

    Integers are exact. Pixels are not promised, since g_s runs in floating point and may be
    trained on: of those there are mean colours of parts of the picture.
    """
    stream, runs = read_stream(data), decode_symbols(data).runs
    symbols = np.concatenate(runs).astype("<i2").tobytes()
    image = cdsrcodec.decode(data, device="cpu")
    pixels = np.asarray(image.convert("RGB"))
    beside: dict[str, object] = {}
    if image.has_transparency_data:
        alpha = image.getchannel("A").tobytes()
        beside = {"alpha_sha256": hashlib.sha256(alpha).hexdigest()}
    return {
        "mode": image.mode,
        "info": sorted(image.info),
        "model_id": stream.header.model_id,
        "entropy_tag": stream.header.entropy_tag.hex(),
        "quality_code": stream.header.quality_code,
        "width_px": stream.header.width_px,
        "height_px": stream.header.height_px,
        "symbol_crc": stream.header.symbol_crc,
        "chunks": [[chunk.kind.decode("ascii"), len(chunk.data)] for chunk in stream.chunks],
        "run_lengths": [len(run) for run in runs],
        "symbols_sha256": hashlib.sha256(symbols).hexdigest(),
        "mean_rgb": [
            [[round(float(mean), 2) for mean in part.mean((0, 1))] for part in parts_of(rows, 1)]
            for rows in parts_of(pixels, 0)
        ],
    } | beside


def parts_of(pixels: NDArray[np.uint8], axis: int) -> list[NDArray[np.uint8]]:
    """The picture cut along an axis into up to MEANS_A_SIDE parts."""
    return np.array_split(pixels, min(MEANS_A_SIDE, pixels.shape[axis]), axis)


def main(folder: Path) -> None:
    """Add to a folder what it lacks.

    Raises:
        SystemExit: it lacks nothing.
        FileExistsError: a stream is there of which expected.json does not know.
    """
    index = folder / "expected.json"
    expected = json.loads(index.read_text(encoding="utf-8")) if index.exists() else {}
    lacking = {name: golden for name, golden in PICTURES.items() if f"{name}.cdsr" not in expected}
    if not lacking:
        sys.exit(f"{folder}: all golden files are there, and they are never made anew")
    for name, golden in lacking.items():
        data = encode(golden)
        with (folder / f"{name}.cdsr").open("xb") as file:
            file.write(data)
        expected[f"{name}.cdsr"] = describe(data)
    lines = (f"{json.dumps(name)}: {json.dumps(found)}" for name, found in expected.items())
    index.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main(HERE)
