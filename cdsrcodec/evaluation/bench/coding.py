"""A picture coded for a point of a curve: at a quality, or within the bytes of another file."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cdsrcodec.evaluation.bench.plan import Settings, Task, load_picture, load_small_picture
from cdsrcodec.evaluation.bench.rows import DIRECT
from cdsrcodec.evaluation.codecs import Codec
from cdsrcodec.evaluation.scales import Scale


class Encoded(NamedTuple):
    """A stream, the quality it has, and the seconds that encoding took."""

    stream: bytes
    quality: float
    encode_s: float


def encode_unit(
    codec: Codec, settings: Settings, path: Path, enlarger: str, rung: float
) -> Encoded | None:
    """What a codec makes of a picture for a row of this enlarger and rung.

    Returns:
        None where it cannot make a file as small as the reference's.
    """
    if enlarger == DIRECT:
        return _encode_directly(codec, settings, path, rung)
    if settings.meets_bytes(codec):
        return _encode_equally(codec, settings.codecs[0], path, settings.task, rung)
    return _encode_rung(codec, path, settings.task, rung)


@lru_cache(maxsize=8)  # each enlarger of a rung needs the same stream
def _encode_rung(codec: Codec, path: Path, task: Task, quality: float) -> Encoded:
    return encode_timed(codec, load_small_picture(path, task), quality)


@lru_cache(maxsize=8)
def _encode_equally(
    codec: Codec, reference: Codec, path: Path, task: Task, rung: float
) -> Encoded | None:
    """The small picture in the bytes of the reference's file of it."""
    target_bytes = len(_encode_rung(reference, path, task, rung).stream)
    x = load_small_picture(path, task)
    return encode_within(partial(encode_timed, codec, x), codec.scale, target_bytes)


def _encode_directly(codec: Codec, settings: Settings, path: Path, rung: float) -> Encoded | None:
    """The picture itself in the bytes of the reference's small one; rung 0: the fewest."""

    def encode(quality: float) -> Encoded:
        """The whole file at a quality."""
        return _encode_whole(codec, path, settings.task, quality)

    if rung == 0:
        return encode(codec.scale.lowest)
    target_bytes = len(_encode_rung(settings.codecs[0], path, settings.task, rung).stream)
    return encode_within(encode, codec.scale, target_bytes)


@lru_cache(maxsize=32)  # the searches for all rungs begin at the same qualities
def _encode_whole(codec: Codec, path: Path, task: Task, quality: float) -> Encoded:
    return encode_timed(codec, load_picture(path, task), quality)


def encode_timed(codec: Codec, x: NDArray[np.uint8], quality: float) -> Encoded:
    """Encode x (H, W, 3)."""
    begin_s = time.perf_counter()
    stream = codec.encode(x, quality)
    return Encoded(stream, quality, time.perf_counter() - begin_s)


def encode_within(
    encode: Callable[[float], Encoded], scale: Scale, target_bytes: int
) -> Encoded | None:
    """The best quality on a codec's grid whose file has at most so many bytes.

    A bisection, for files that grow with the quality.

    Args:
        encode: codes one picture at a quality.
        scale: the grid.
        target_bytes: the most that the file may have.

    Returns:
        None where no file is so small.
    """
    best = encode(scale.lowest)
    if len(best.stream) > target_bytes:
        return None
    low, high = 0, round((scale.highest - scale.lowest) / scale.step)
    while low < high:
        middle = (low + high + 1) // 2
        tried = encode(scale.lowest + middle * scale.step)
        if len(tried.stream) <= target_bytes:
            low, best = middle, tried
        else:
            high = middle - 1
    return best
