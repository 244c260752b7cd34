from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from cdsrcodec.evaluation.bench.crossover import Crossover, crossover_line, find_crossovers
from cdsrcodec.evaluation.bench.rows import DIRECT, Row
from cdsrcodec.evaluation.bench.summary import summarise

MakeRow = Callable[..., Row]
Points = Sequence[tuple[float, float]]


def find(row: MakeRow, enlarged: Points, direct: Points) -> Crossover:
    """The crossover of two curves of (bpp, PSNR in dB)."""
    rows = [
        row("a", "jpeg", float(rung), enlarger=enlarger, bpp_output=bpp, psnr_rgb_db=psnr_db)
        for enlarger, points in (("bicubic", enlarged), (DIRECT, direct))
        for rung, (bpp, psnr_db) in enumerate(points)
    ]
    original = row("a", "original", None, enlarger="bicubic")
    (crossover,) = find_crossovers(summarise([original, *rows]))
    assert (crossover.enlarged, crossover.direct) == ("jpeg bicubic", "jpeg direct")
    return crossover


def test_direct_coding_overtakes_where_the_curves_cross(row: MakeRow) -> None:
    # Over log2 of the rate: 28 + u against 27 + 2u, which meet at u = 1.
    enlarged = [(1, 28.0), (4, 30.0)]
    direct = [(1, 27.0), (2, 29.0), (8, 33.0)]
    crossover = find(row, enlarged, direct)
    assert crossover.bpp_output == pytest.approx(2)
    assert crossover.psnr_rgb_db == pytest.approx(29)
    assert (crossover.low_bpp, crossover.high_bpp, crossover.reason) == (1, 4, None)
    assert crossover_line(crossover) == (
        "jpeg bicubic and jpeg direct: direct coding is ahead from 2.0000 bpp (29.00 dB) on, "
        "of 1.0000 to 4.0000 bpp in common"
    )


def test_of_several_crossings_the_last_one_counts(row: MakeRow) -> None:
    enlarged = [(1, 28.0), (2, 30.0), (4, 30.5), (8, 31.0)]
    direct = [(1, 28.5), (2, 29.0), (4, 30.0), (8, 33.0)]
    crossover = find(row, enlarged, direct)
    assert crossover.bpp_output == pytest.approx(4 * 2**0.2)


@pytest.mark.parametrize(
    ("direct", "reason"),
    [
        ([(0.5, 26.0), (8, 28.0)], "enlarging is ahead at the highest common rate"),
        ([(0.5, 29.0), (8, 34.0)], "direct coding is ahead at every common rate"),
        ([(3, 25.0)], "enlarging is ahead at the highest common rate"),
        ([(5, 33.0), (9, 34.0)],
         "no rate in common: up to 4.0000 bpp one, from 5.0000 bpp the other"),
    ],
)  # fmt: skip
def test_without_a_crossover_it_says_why(row: MakeRow, direct: Points, reason: str) -> None:
    crossover = find(row, [(1, 28.0), (4, 30.0)], direct)
    assert crossover.bpp_output is None
    assert crossover.reason == reason
    assert crossover_line(crossover).endswith(f"no crossover, {reason}")


def test_a_rung_that_a_picture_lacks_leaves_a_curve_without_points(row: MakeRow) -> None:
    rows = [
        row("a", "jpeg", 1.0, enlarger="bicubic"), row("b", "jpeg", 1.0, enlarger="bicubic"),
        row("a", "jpeg", 1.0, enlarger=DIRECT),
    ]  # fmt: skip
    (crossover,) = find_crossovers(summarise(rows))
    assert crossover.reason == "a curve has no points"
