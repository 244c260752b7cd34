"""Curves over the pictures, and the Bjontegaard deltas between all of them."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from cdsrcodec.evaluation.bd_rate import (
    Curve,
    bd_psnr_db,
    bd_rate_percent,
    common_range_db,
    make_curve,
)
from cdsrcodec.evaluation.bench.rows import METRICS, ORIGINAL, Row

MEASURES = (
    "stream_bytes", "bpp", "bpp_output", *METRICS, "encode_s", "decode_s", "peak_memory_bytes",
)  # fmt: skip
BD_METHODS = ("pchip", "akima")


class Spread(NamedTuple):
    """Mean and sample standard deviation over pictures; the latter is 0 for one."""

    mean: float
    deviation: float


@dataclass(frozen=True)
class Point:
    """A method at one rung, over all pictures."""

    rung: float | None
    pictures: int
    measures: Mapping[str, Spread | None]  # None: not measured for every picture

    def mean(self, name: str) -> float | None:
        """The mean of a measure."""
        spread = self.measures[name]
        return spread.mean if spread else None


@dataclass(frozen=True)
class Method:
    """A codec with an enlarger: one curve, or one point where nothing was coded."""

    name: str
    codec: str
    enlarger: str
    points: tuple[Point, ...]

    def curve(self) -> Curve:
        """Mean rate over the pixels of the output, and mean PSNR of RGB; each point once."""
        return self._curve("psnr_rgb_db", float)

    def ms_ssim_curve(self) -> Curve:
        """The same with the mean MS-SSIM in decibels, -10 log10(1 - MS-SSIM)."""
        return self._curve("ms_ssim", ms_ssim_db)

    def _curve(self, measure: str, to_db: Callable[[float], float]) -> Curve:
        pairs = {(p.mean("bpp_output"), p.mean(measure)) for p in self.points}
        known = [(bpp, to_db(v)) for bpp, v in pairs if bpp is not None and v is not None]
        return make_curve([bpp for bpp, _ in known], [db for _, db in known])


def ms_ssim_db(ms_ssim: float) -> float:
    """MS-SSIM on the scale on which its curves are about as straight as those of PSNR."""
    return math.inf if ms_ssim >= 1 else -10 * math.log10(1 - ms_ssim)


@dataclass(frozen=True)
class Delta:
    """`test` against `anchor` by one method of interpolation; `reason` why there is none.

    `bd_rate_ms_ssim_percent` is the same by MS-SSIM in decibels; None where that cannot be told.
    """

    anchor: str
    test: str
    published: bool
    interpolation: str
    bd_rate_percent: float | None = None
    bd_psnr_db: float | None = None
    low_db: float | None = None
    high_db: float | None = None
    reason: str | None = None
    bd_rate_ms_ssim_percent: float | None = None


def summarise(rows: Iterable[Row]) -> list[Method]:
    """The methods in the order of the rows, with a point for each rung that all pictures have.

    A rung that some picture lacks would average over other pictures than its neighbours.
    """
    by_method: dict[tuple[str, str, str], dict[float | None, list[Row]]] = {}
    images = set()
    for row in rows:
        images.add(row.image)
        rungs = by_method.setdefault((row.method, row.codec, row.enlarger), defaultdict(list))
        rungs[row.rung].append(row)
    return [
        Method(
            *names, tuple(_point(*rung) for rung in rungs.items() if len(rung[1]) == len(images))
        )
        for names, rungs in by_method.items()
    ]


def _point(rung: float | None, rows: Sequence[Row]) -> Point:
    return Point(rung, len(rows), {name: _spread(rows, name) for name in MEASURES})


def _spread(rows: Sequence[Row], name: str) -> Spread | None:
    values = [getattr(row, name) for row in rows]
    if any(value is None for value in values):
        return None
    mean = float(np.mean(values))
    # The deviation of infinite values, as of lossless files, is not a number.
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 and math.isfinite(mean) else 0.0
    return Spread(mean, deviation)


def all_deltas(methods: Sequence[Method], published: Mapping[str, Curve]) -> Iterator[Delta]:
    """Every coded method against every other one, and against published curves."""
    coded = [m for m in methods if m.codec != ORIGINAL]
    curves = {m.name: m.curve() for m in coded}
    ms_ssim = {m.name: m.ms_ssim_curve() for m in coded}
    for test, curve in curves.items():
        for anchor, anchor_curve in curves.items():
            if anchor != test:
                for delta in _deltas(anchor, anchor_curve, test, curve, published=False):
                    yield _with_ms_ssim(delta, ms_ssim[anchor], ms_ssim[test])
        for anchor, anchor_curve in published.items():
            yield from _deltas(anchor, anchor_curve, test, curve, published=True)


def _deltas(
    anchor: str, anchor_curve: Curve, test: str, curve: Curve, *, published: bool
) -> Iterator[Delta]:
    for method in BD_METHODS:
        try:
            rate_percent = bd_rate_percent(anchor_curve, curve, method=method)
            psnr_db = bd_psnr_db(anchor_curve, curve, method=method)
            low_db, high_db = common_range_db(anchor_curve, curve)
        except ValueError as error:
            yield Delta(anchor, test, published, method, reason=str(error))
            continue
        yield Delta(anchor, test, published, method, rate_percent, psnr_db, low_db, high_db)


def _with_ms_ssim(delta: Delta, anchor: Curve, test: Curve) -> Delta:
    try:
        percent = bd_rate_percent(anchor, test, method=delta.interpolation)
    except ValueError:
        return delta  # small pictures have no MS-SSIM, and a column of reasons would say just that
    return replace(delta, bd_rate_ms_ssim_percent=percent)


def plain(value: Any) -> Any:  # noqa: ANN401  any dataclass, tuple or number
    """The value as JSON holds it: numbers that are not finite as null."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, Spread):
        return {"mean": plain(value.mean), "deviation": plain(value.deviation)}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value
