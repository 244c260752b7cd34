"""The quality that meets a target: a search with real files, eight of them at most."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

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
    qualities: Sequence[float],
    encode: Callable[[float], bytes],
    psnr_rgb_db: Callable[[bytes], float],
    *,
    pixel_count: int,
) -> bytes:
    """The stream that meets the target best among some qualities.

    Every try is a whole stream of `encode`, so whatever that adds counts. Sizes and PSNR are
    taken to rise with the quality; where they do not, the result still meets the target, but a
    quality that was not tried may do so better.

    Args:
        target: what to meet.
        qualities: those to choose from, rising; 225 of them, all that the format has, take
            eight tries.
        encode: quality to a whole stream.
        psnr_rgb_db: stream to the PSNR of its picture; called for a PSNR target only.
        pixel_count: native pixels, for bpp.

    Raises:
        LimitError: no quality meets it; the message says what the nearest one gives.
    """
    if target.psnr_rgb_db is not None:
        return _smallest_reaching(target.psnr_rgb_db, qualities, encode, psnr_rgb_db)
    size_bytes, asked = target.size_bytes, f"{target.size_bytes} bytes"
    if size_bytes is None:
        assert target.bpp is not None
        size_bytes, asked = math.floor(target.bpp * pixel_count / 8), f"{target.bpp:g} bpp"
    return _largest_within(size_bytes, qualities, encode, asked, pixel_count)


def _largest_within(
    size_bytes: int,
    qualities: Sequence[float],
    encode: Callable[[float], bytes],
    asked: str,
    pixel_count: int,
) -> bytes:
    streams: dict[float, bytes] = {}

    def is_over(quality: float) -> bool:
        """Whether the file of a quality, which is kept, is too large."""
        streams[quality] = encode(quality)
        return len(streams[quality]) > size_bytes

    # By bisection: the quality before the first one that is over was tried and is not.
    over = bisect_left(qualities, True, key=is_over)
    if over == 0:
        least_bytes = len(streams[qualities[0]])
        # Rounded up: what the message names can be asked for.
        least_bpp = math.ceil(8e4 * least_bytes / pixel_count) / 1e4
        raise LimitError(
            f"{asked} cannot be reached: the smallest file of this picture has {least_bytes} bytes "
            f"({least_bpp:.4f} bpp), at quality {qualities[0]:g}. "
            "hint: ask for that, or reduce the picture"
        )
    return streams[qualities[over - 1]]


def _smallest_reaching(
    psnr_db: float,
    qualities: Sequence[float],
    encode: Callable[[float], bytes],
    measure: Callable[[bytes], float],
) -> bytes:
    streams: dict[float, bytes] = {}
    psnrs_db: dict[float, float] = {}

    def is_reached(quality: float) -> bool:
        """Whether the picture of a quality, whose file is kept, is good enough."""
        streams[quality] = encode(quality)
        psnrs_db[quality] = measure(streams[quality])
        return psnrs_db[quality] >= psnr_db

    first = bisect_left(qualities, True, key=is_reached)
    if first == len(qualities):
        best_db = math.floor(psnrs_db[qualities[-1]] * 100) / 100
        raise LimitError(
            f"a PSNR of {psnr_db:g} dB cannot be reached: this picture gets {best_db:.2f} dB "
            f"at quality {qualities[-1]:g}. hint: ask for that"
        )
    return streams[qualities[first]]
