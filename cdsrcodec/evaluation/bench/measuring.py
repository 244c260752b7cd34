"""One unit of work: code, decode, enlarge, compare."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cdsrcodec import api
from cdsrcodec.errors import InputImageError, LimitError
from cdsrcodec.evaluation.bench.coding import Encoded, encode_timed, encode_unit
from cdsrcodec.evaluation.bench.plan import (
    Settings,
    Task,
    Unit,
    load_picture,
    load_small_picture,
)
from cdsrcodec.evaluation.bench.rows import DIRECT, ORIGINAL, Row
from cdsrcodec.evaluation.bench.timing import Spent
from cdsrcodec.evaluation.bench.views import cut_out, find_detail, write_view
from cdsrcodec.evaluation.codecs import Codec, LearnedCodec
from cdsrcodec.evaluation.metrics import (
    MS_SSIM_MIN_SIDE_PX,
    ms_ssim_rgb,
    psnr_rgb_db,
    psnr_y_db,
    ssimulacra2,
)
from cdsrcodec.sr.registry import UPSCALE

WARM_UP_SIDE_PX = 32


class Finished(NamedTuple):
    """What came of a unit, and what its time went to.

    `row` is None where a codec cannot make a file as small as the reference's.
    """

    row: Row | None
    spent: Spent


class Made(NamedTuple):
    """What a unit made of a picture; `encoded` only where it was coded."""

    encoded: Encoded | None
    coded_pixels: int
    x_hat: NDArray[np.uint8]
    decode_s: float


class Metrics(NamedTuple):
    """Of a picture made, against its original; see rows.Row."""

    psnr_rgb_db: float
    psnr_y_db: float
    ms_ssim: float | None
    ssimulacra2: float | None


@dataclass
class Peak:
    """The memory of `peak_memory`; None until it is over, or where it is not known."""

    memory_bytes: int | None = None


def measure(unit: Unit, settings: Settings) -> Finished:
    """Do the work of a unit; the row's cut-out is written to the folder of views.

    Raises:
        InputImageError, LimitError: this picture cannot be read or coded.
        CdsrError: a codec or an enlarger cannot run here at all.
    """
    x = load_picture(unit.path, settings.task)
    small = load_small_picture(unit.path, settings.task)
    begin_s = time.perf_counter()
    try:
        _warm_up(unit.codec, unit.enlarger, settings.device, settings.upscaler_weights)
        loading_s = time.perf_counter() - begin_s
        with peak_memory() as peak:
            begin_s = time.perf_counter()
            made = _make(unit, settings, x if unit.enlarger == DIRECT else small)
            codec_s = time.perf_counter() - begin_s
    except (InputImageError, LimitError) as error:
        raise type(error)(f"{unit.path}: {error}") from error
    if made is None:
        return Finished(None, Spent(codec_s, loading_s=loading_s))
    begin_s = time.perf_counter()
    metrics = _compare(x, made.x_hat, settings)
    metrics_s = time.perf_counter() - begin_s
    spent = Spent(codec_s, metrics_s, loading_s)
    return Finished(_row(unit, settings, x, made, metrics, peak), spent)


def _make(unit: Unit, settings: Settings, coded: NDArray[np.uint8]) -> Made | None:
    """Code the picture and decode it."""
    codec = unit.codec
    encoded: Encoded | None = None
    if codec is not None and unit.rung is not None:
        encoded = encode_unit(codec, settings, unit.path, unit.enlarger, unit.rung)
        if encoded is None:
            return None
    begin_s = time.perf_counter()
    x_hat = _decode(codec, encoded, coded, unit.enlarger, settings)
    return Made(encoded, coded.shape[0] * coded.shape[1], x_hat, time.perf_counter() - begin_s)


def _decode(
    codec: Codec | None,
    encoded: Encoded | None,
    coded: NDArray[np.uint8],
    enlarger: str,
    settings: Settings,
) -> NDArray[np.uint8]:
    """The picture to compare: of the stream, or of `coded` itself where there is none."""
    if codec is not None and encoded is not None:
        if enlarger in ("", DIRECT):
            return codec.decode(encoded.stream)
        if isinstance(codec, LearnedCodec):
            return np.asarray(
                api.decode(
                    encoded.stream,
                    sr=UPSCALE,
                    upscaler=enlarger,
                    upscaler_weights=_weights_of(enlarger, settings),
                    device=settings.device,
                )
            )
        coded = codec.decode(encoded.stream)
    return np.asarray(
        api.upscale(
            coded,
            upscaler=enlarger,
            upscaler_weights=_weights_of(enlarger, settings),
            device=settings.device,
        )
    )


def _weights_of(enlarger: str, settings: Settings) -> Path | None:
    return settings.upscaler_weights if enlarger == "esrgan" else None


def _compare(x: NDArray[np.uint8], x_hat: NDArray[np.uint8], settings: Settings) -> Metrics:
    shave_px = UPSCALE if settings.task == "sr4" else 0
    large_enough = min(x.shape[:2]) >= MS_SSIM_MIN_SIDE_PX
    return Metrics(
        psnr_rgb_db(x, x_hat, shave_px=shave_px),
        psnr_y_db(x, x_hat, shave_px=shave_px),
        ms_ssim_rgb(x, x_hat) if large_enough else None,
        ssimulacra2(x, x_hat) if settings.ssimulacra2 else None,
    )


def _row(
    unit: Unit,
    settings: Settings,
    x: NDArray[np.uint8],
    made: Made,
    metrics: Metrics,
    peak: Peak,
) -> Row:
    height_px, width_px = x.shape[:2]
    encoded = made.encoded
    stream_bytes = len(encoded.stream) if encoded else None
    return Row(
        image=unit.path.name,
        codec=unit.codec.name if unit.codec else ORIGINAL,
        enlarger=unit.enlarger,
        rung=unit.rung,
        quality=encoded.quality if encoded else None,
        width_px=width_px,
        height_px=height_px,
        stream_bytes=stream_bytes,
        bpp=8 * stream_bytes / made.coded_pixels if stream_bytes else None,
        bpp_output=8 * stream_bytes / (width_px * height_px) if stream_bytes else None,
        encode_s=encoded.encode_s if encoded else None,
        decode_s=made.decode_s,
        peak_memory_bytes=peak.memory_bytes,
        view=_write_view(unit.path, settings, made.x_hat) if settings.crop_px else None,
        **metrics._asdict(),
    )


def _write_view(path: Path, settings: Settings, x_hat: NDArray[np.uint8]) -> str:
    corner = _find_detail(path, settings.task, settings.crop_px)
    return write_view(cut_out(x_hat, corner, settings.crop_px), settings.output)


@lru_cache(maxsize=1)  # the same for all rows of a picture
def _find_detail(path: Path, task: Task, side_px: int) -> tuple[int, int]:
    return find_detail(load_picture(path, task), side_px)


@cache
def _warm_up(codec: Codec | None, enlarger: str, device: str, weights: Path | None) -> None:
    """Load the libraries and weights once a process, so that no picture's time has them."""
    x = np.zeros((WARM_UP_SIDE_PX, WARM_UP_SIDE_PX, 3), np.uint8)
    settings = Settings(Path(), Path(), "sr4", (), {}, upscaler_weights=weights, device=device)
    if codec is None:
        _decode(None, None, x, enlarger, settings)
        return
    for quality in codec.warm_up_qualities:
        _decode(codec, encode_timed(codec, x, quality), x, enlarger, settings)


@contextmanager
def peak_memory() -> Iterator[Peak]:
    """The most memory that this process held within the block, what it had before included."""
    peak = Peak()
    try:
        # Linux: writing 5 sets the high-water mark back to what is held now.
        Path("/proc/self/clear_refs").write_text("5")
        known = True
    except OSError:
        known = False
    yield peak
    if known:
        status = Path("/proc/self/status").read_text()
        peak.memory_bytes = 1024 * int(status.split("VmHWM:")[1].split()[0])
