"""Up to which rate enlarging a coded small picture beats coding the large one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from cdsrcodec.evaluation.bd_rate import Curve
from cdsrcodec.evaluation.bench.rows import DIRECT, ORIGINAL
from cdsrcodec.evaluation.bench.summary import Method


@dataclass(frozen=True)
class Crossover:
    """Where direct coding overtakes, by mean PSNR of RGB; `reason` says why nowhere.

    Attributes:
        enlarged, direct: names of the two methods.
        low_bpp, high_bpp: the rates that both curves have; None where there is none.
        bpp_output: the rate from which on direct coding stays ahead.
        psnr_rgb_db: of both curves there.
        reason: why there is no such rate.
    """

    enlarged: str
    direct: str
    low_bpp: float | None = None
    high_bpp: float | None = None
    bpp_output: float | None = None
    psnr_rgb_db: float | None = None
    reason: str | None = None


def find_crossovers(methods: Sequence[Method]) -> Iterator[Crossover]:
    """Every enlarged codec against every directly coded one."""
    for enlarged in methods:
        if enlarged.codec == ORIGINAL or enlarged.enlarger in ("", DIRECT):
            continue
        for direct in methods:
            if direct.enlarger == DIRECT:
                yield _crossover(enlarged, direct)


def _crossover(enlarged: Method, direct: Method) -> Crossover:
    names = (enlarged.name, direct.name)
    curves = enlarged.curve(), direct.curve()
    if not all(len(curve.bpp) for curve in curves):
        return Crossover(*names, reason="a curve has no points")
    low_bpp = max(float(curve.bpp[0]) for curve in curves)
    high_bpp = min(float(curve.bpp[-1]) for curve in curves)
    if low_bpp > high_bpp:
        ends = f"up to {high_bpp:.4f} bpp one, from {low_bpp:.4f} bpp the other"
        return Crossover(*names, reason=f"no rate in common: {ends}")
    log_rates = np.log(_inner_rates(curves, low_bpp, high_bpp))
    psnrs_db = [np.interp(log_rates, np.log(curve.bpp), curve.psnr_db) for curve in curves]
    leads_db = psnrs_db[0] - psnrs_db[1]
    nowhere = Crossover(*names, low_bpp, high_bpp)
    if leads_db[-1] > 0:
        return replace(nowhere, reason="enlarging is ahead at the highest common rate")
    ahead = np.flatnonzero(leads_db > 0)
    if not len(ahead):
        return replace(nowhere, reason="direct coding is ahead at every common rate")
    last = ahead[-1]
    # Both curves are straight between two neighbours, and so is the lead.
    log_rate = np.interp(0, -leads_db[last : last + 2], log_rates[last : last + 2])
    psnr_db = np.interp(log_rate, log_rates, psnrs_db[0])
    return replace(nowhere, bpp_output=float(np.exp(log_rate)), psnr_rgb_db=float(psnr_db))


def _inner_rates(curves: Sequence[Curve], low_bpp: float, high_bpp: float) -> list[float]:
    """The rates of all points within the window, and its ends, in rising order."""
    rates = {float(bpp) for curve in curves for bpp in curve.bpp if low_bpp <= bpp <= high_bpp}
    return sorted(rates | {low_bpp, high_bpp})


def crossover_line(crossover: Crossover) -> str:
    """A crossover in words."""
    pair = f"{crossover.enlarged} and {crossover.direct}"
    if crossover.bpp_output is None:
        return f"{pair}: no crossover, {crossover.reason}"
    return (
        f"{pair}: direct coding is ahead from {crossover.bpp_output:.4f} bpp "
        f"({crossover.psnr_rgb_db:.2f} dB) on, of {crossover.low_bpp:.4f} to "
        f"{crossover.high_bpp:.4f} bpp in common"
    )
