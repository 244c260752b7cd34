"""What is fuzzed: how an input is made, and what must hold of it.

A check returns where the input is decoded rightly, and raises a CdsrError where it is
refused; anything else is a crash. Run them by `python -m tests.fuzz.campaign`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random

import numpy as np

import cdsrcodec
from cdsrcodec.chunks.facts import PLAIN_ORIGIN, full_size_of, origin_of
from cdsrcodec.chunks.sidecar import alpha_of, sidecar_of
from cdsrcodec.codec import decode_symbols
from cdsrcodec.container import Limits, Stream, read_stream, write_stream
from cdsrcodec.errors import CdsrError
from cdsrcodec.imageio.assembly import assemble
from tests.fuzz.forging import forge_stream
from tests.fuzz.mutations import change_chunks, change_payload, change_stream

SEEDS = Path(__file__).resolve().parents[1] / "conformance" / "valid"
# A changed header may claim any size. A reader may set its own limit, and here it is low,
# so that the time goes into what lies behind it.
LIMITS = Limits(max_pixels=20_000)
SMALL_PX = 1_000


Check = Callable[[bytes], None]


@dataclass(frozen=True)
class Fuzzer:
    """One campaign's input and its check; `name` begins the names of its crash files."""

    name: str
    make: Callable[[Random], bytes]
    check: Check


def check_container(data: bytes) -> None:
    """What is read is written back byte by byte, and its summary adds up."""
    stream = read_stream(data)
    assert write_stream(stream) == data
    full_size_of(stream), origin_of(stream)
    info = cdsrcodec.info(data)
    assert info.header_bytes + info.payload_bytes == info.stream_bytes == len(data)


def check_chunks(data: bytes) -> None:
    """A grey canvas takes on whatever the chunks tell, at both sizes."""
    stream = read_stream(data, limits=LIMITS)
    alpha, sidecar = alpha_of(stream), sidecar_of(stream)
    assert len(sidecar.warnings) <= len(stream.chunks)
    for scale in (1, 4):
        height_px, width_px = scale * stream.header.height_px, scale * stream.header.width_px
        image = assemble(
            np.full((height_px, width_px, 3), 128, np.uint8),
            alpha,
            sidecar.metadata,
            is_grey=sidecar.origin.is_grey,
            scale=scale,
            size_px=sidecar.full_size_px if scale == 4 else None,
        )
        mode = "L" if (origin_of(stream) or PLAIN_ORIGIN).is_grey else "RGB"
        assert image.mode == mode + ("" if alpha is None else "A")
        assert image.size == _size_px(stream, scale)


def check_symbols(data: bytes) -> None:
    """The symbols have the checksum that the header tells (decode_symbols sees to it)."""
    read_stream(data, limits=LIMITS)
    symbols = decode_symbols(data)
    assert all(run.dtype == np.int32 for run in symbols.runs)


def check_pixels(data: bytes) -> None:
    """A picture of the size in the header, or of the full size."""
    stream = read_stream(data, limits=LIMITS)
    for scale in (1, 4):
        image = cdsrcodec.decode(data, sr=scale, device="cpu")
        assert image.size == _size_px(stream, scale)


def check_forged(data: bytes) -> None:
    """As check_pixels, and it may not be refused either.

    Raises:
        AssertionError: it is.
    """
    try:
        check_pixels(data)
    except CdsrError as error:
        raise AssertionError(f"a valid stream is refused: {error}") from error


def _size_px(stream: Stream, scale: int) -> tuple[int, int]:
    native_px = (scale * stream.header.width_px, scale * stream.header.height_px)
    return (full_size_of(stream) or native_px) if scale == 4 else native_px


@cache
def _seeds(max_pixels: int, *, with_chunks: bool) -> tuple[bytes, ...]:
    found = []
    for path in sorted(SEEDS.glob("*.cdsr")):
        data = path.read_bytes()
        stream = read_stream(data)
        pixels = stream.header.width_px * stream.header.height_px
        if pixels <= max_pixels and (stream.chunks or not with_chunks):
            found.append(data)
    return tuple(found)


def _made_by(
    change: Callable[[Random, bytes], bytes], *, max_pixels: int, with_chunks: bool = False
) -> Callable[[Random], bytes]:
    return lambda rng: change(rng, rng.choice(_seeds(max_pixels, with_chunks=with_chunks)))


FUZZERS = {
    fuzzer.name: fuzzer
    for fuzzer in (
        Fuzzer("container", _made_by(change_stream, max_pixels=LIMITS.max_pixels), check_container),
        Fuzzer(
            "chunks", _made_by(change_chunks, max_pixels=SMALL_PX, with_chunks=True), check_chunks
        ),
        Fuzzer("symbols", _made_by(change_payload, max_pixels=SMALL_PX), check_symbols),
        Fuzzer("pixels", _made_by(change_stream, max_pixels=SMALL_PX), check_pixels),
        Fuzzer("forged", forge_stream, check_forged),
    )
}
