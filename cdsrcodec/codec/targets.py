"""The quality that meets a target: a search with real files, eight of them at most."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields

from cdsrcodec.container import MAX_QUALITY_CODE, quality_of_code
from cdsrcodec.errors import LimitError


@dataclass(frozen=True)
class Target:
    """What a file has to meet; exactly one of these is given.

    Attributes:
        size_bytes: the whole file is at most so large, and the quality the highest possible.
        bpp: the same, in bits per native pixel.
        psnr_rgb_db: the decoded 8-bit picture is at least so good, and the file the smallest.

    Raises:
        ValueError: none or several are given, or one is no finite number above 0.
    """

    size_bytes: int | None = None
    bpp: float | None = None
    psnr_rgb_db: float | None = None

    def __post_init__(self) -> None:
        """Refuse what no search could meet or end on."""
        given = {
            f.name: value for f in fields(self) if (value := getattr(self, f.name)) is not None
        }
        if len(given) != 1:
            raise ValueError(f"a target is one of size, bpp and PSNR, not {len(given)} of them")
        ((name, value),) = given.items()
        if not 0 < value < math.inf:
            raise ValueError(f"the target {name} must be a finite number above 0, not {value}")


def encode_to_target(
    target: Target,
    encode: Callable[[float], bytes],
    psnr_rgb_db: Callable[[bytes], float],
    *,
    pixel_count: int,
) -> bytes:
    """The stream that meets the target best among the 225 qualities of the format.

    Every try is a whole stream of `encode`, so whatever that adds counts. Sizes and PSNR are
    taken to rise with the quality; where they do not, the result still meets the target, but a
    quality that was not tried may do so better.

    Args:
        target: what to meet.
        encode: quality, 1..8 in steps of 1/32, to a whole stream.
        psnr_rgb_db: stream to the PSNR of its picture; called for a PSNR target only.
        pixel_count: native pixels, for bpp.

    Raises:
        LimitError: no quality meets it; the message says what the nearest one gives.
    """
    if target.psnr_rgb_db is not None:
        return _smallest_reaching(target.psnr_rgb_db, encode, psnr_rgb_db)
    if target.size_bytes is not None:
        return _largest_within(target.size_bytes, encode, f"{target.size_bytes} bytes", pixel_count)
    assert target.bpp is not None
    size_bytes = math.floor(target.bpp * pixel_count / 8)
    return _largest_within(size_bytes, encode, f"{target.bpp:g} bpp", pixel_count)


def _largest_within(
    size_bytes: int, encode: Callable[[float], bytes], asked: str, pixel_count: int
) -> bytes:
    streams: dict[int, bytes] = {}

    def is_over(code: int) -> bool:
        streams[code] = encode(quality_of_code(code))
        return len(streams[code]) > size_bytes

    code = _first_code(is_over) - 1
    if code < 0:
        least_bytes = len(streams[0])
        # Rounded up: what the message names can be asked for.
        least_bpp = math.ceil(8e4 * least_bytes / pixel_count) / 1e4
        raise LimitError(
            f"{asked} cannot be reached: the smallest file of this picture has {least_bytes} bytes "
            f"({least_bpp:.4f} bpp), at quality 1. hint: ask for that, or reduce the picture"
        )
    return streams[code]


def _smallest_reaching(
    psnr_db: float, encode: Callable[[float], bytes], measure: Callable[[bytes], float]
) -> bytes:
    streams: dict[int, bytes] = {}
    psnrs_db: dict[int, float] = {}

    def is_reached(code: int) -> bool:
        streams[code] = encode(quality_of_code(code))
        psnrs_db[code] = measure(streams[code])
        return psnrs_db[code] >= psnr_db

    code = _first_code(is_reached)
    if code > MAX_QUALITY_CODE:
        best_db = math.floor(psnrs_db[MAX_QUALITY_CODE] * 100) / 100
        raise LimitError(
            f"a PSNR of {psnr_db:g} dB cannot be reached: this picture gets {best_db:.2f} dB "
            "at quality 8. hint: ask for that"
        )
    return streams[code]


def _first_code(holds: Callable[[int], bool]) -> int:
    """The lowest quality code from which on `holds`, or one more than the last: 8 tries at most.

    By bisection: the code before the result was tried and does not hold, the result was
    tried and does, as far as they exist.
    """
    low, high = 0, MAX_QUALITY_CODE + 1
    while low < high:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle + 1
    return low
