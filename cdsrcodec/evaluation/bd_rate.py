"""Rate-distortion curves and the Bjontegaard deltas between two of them.

A curve is one point a quality: bpp and PSNR are averaged over the images first,
as CompressAI's published results do, and the delta is taken of the averages.

Source: Bjontegaard 2001, VCEG-M33; interpolation and integral by the package
`bjontegaard`. Differs: piecewise cubic Hermite polynomials (pchip) by default,
which do not overshoot between points, in place of one cubic.
"""

from __future__ import annotations

from typing import NamedTuple

import bjontegaard
import numpy as np
from numpy.typing import ArrayLike, NDArray

# Curves of different length are usual here, and a report names the range of its delta
# (`common_range_db`), which says more than a warning below 75 % of overlap.
ANY_CURVES = {"require_matching_points": False, "min_overlap": 0}


class Curve(NamedTuple):
    """Mean rate and distortion, one element a quality, sorted by rate; see `make_curve`."""

    bpp: NDArray[np.float64]
    psnr_db: NDArray[np.float64]


def make_curve(bpp: ArrayLike, psnr_db: ArrayLike) -> Curve:
    """A curve of two sequences in any common order.

    Raises:
        ValueError: they are not equally long sequences of numbers.
    """
    points = np.array([bpp, psnr_db], np.float64)
    return Curve(*points[:, np.argsort(points[0])])


def common_range_db(anchor: Curve, test: Curve) -> tuple[float, float]:
    """The PSNR that both curves reach, (low, high): what `bd_rate_percent` averages over.

    Raises:
        ValueError: there is none.
    """
    low_db = max(anchor.psnr_db[0], test.psnr_db[0])
    high_db = min(anchor.psnr_db[-1], test.psnr_db[-1])
    if low_db >= high_db:
        raise ValueError("the curves have no PSNR in common")
    return float(low_db), float(high_db)


def bd_rate_percent(anchor: Curve, test: Curve, *, method: str = "pchip") -> float:
    """Mean difference of rate at equal PSNR, over the PSNR both curves reach.

    Args:
        anchor: the curve compared with.
        test: the curve judged.
        method: "pchip", "akima" or "cubic", of log rate over PSNR.

    Returns:
        Percent of the anchor's rate; negative when `test` is the smaller.

    Raises:
        ValueError: a curve has fewer than two points or does not rise, the two have no
            PSNR in common, or the method is unknown.
    """
    _require_rising(anchor, test)
    common_range_db(anchor, test)
    return float(bjontegaard.bd_rate(*anchor, *test, method, **ANY_CURVES))


def bd_psnr_db(anchor: Curve, test: Curve, *, method: str = "pchip") -> float:
    """Mean difference of PSNR at equal rate, over the rates both curves have.

    Positive when `test` is the better; arguments as of `bd_rate_percent`.

    Raises:
        ValueError: as `bd_rate_percent`, but for the rates in common.
    """
    _require_rising(anchor, test)
    if max(anchor.bpp[0], test.bpp[0]) >= min(anchor.bpp[-1], test.bpp[-1]):
        raise ValueError("the curves have no rate in common")
    return float(bjontegaard.bd_psnr(*anchor, *test, method, **ANY_CURVES))


def _require_rising(*curves: Curve) -> None:
    for curve in curves:
        if len(curve.bpp) < 2:
            raise ValueError("a curve needs two points or more")
        if not (np.isfinite(curve).all() and curve.bpp[0] > 0):
            raise ValueError("a curve has a rate that is not positive, or a PSNR without end")
        if not (np.diff(curve) > 0).all():
            raise ValueError("a curve's PSNR does not rise with its rate")
