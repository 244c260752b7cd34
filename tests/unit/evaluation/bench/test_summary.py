from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable
from pathlib import Path

import bjontegaard
import pytest

from cdsrcodec.evaluation.bd_rate import bd_rate_percent, make_curve
from cdsrcodec.evaluation.bench.rows import Row, to_csv
from cdsrcodec.evaluation.bench.summary import Spread, all_deltas, plain, summarise
from cdsrcodec.evaluation.published import load_published

SHARED = Path(__file__).resolve().parents[5] / "shared"
MakeRow = Callable[..., Row]


def curve_rows(row: MakeRow, codec: str, factor: float) -> list[Row]:
    return [
        row(image, codec, rung, bpp_output=factor * 0.1 * 2**rung)
        for image in ("a", "b") for rung in (1.0, 2.0, 3.0)
    ]  # fmt: skip


def test_a_point_has_mean_and_deviation_over_the_pictures(row: MakeRow) -> None:
    rows = [row("a", "jpeg", 1.0, psnr_rgb_db=30.0), row("b", "jpeg", 1.0, psnr_rgb_db=34.0)]
    (method,) = summarise(rows)
    (point,) = method.points
    assert point.pictures == 2
    assert point.measures["psnr_rgb_db"] == Spread(32.0, math.sqrt(8))
    assert point.measures["encode_s"] == (0.25, 0.0)
    assert point.measures["ms_ssim"] is None


def test_one_picture_has_no_deviation_and_equal_pictures_no_finite_mean(row: MakeRow) -> None:
    (method,) = summarise([row("a", "jpeg", 1.0, psnr_rgb_db=math.inf)])
    assert method.points[0].measures["psnr_rgb_db"] == (math.inf, 0.0)
    assert plain(method.points[0].measures)["psnr_rgb_db"] == {"mean": None, "deviation": 0.0}


def test_a_rung_that_a_picture_lacks_is_no_point(row: MakeRow) -> None:
    rows = [row("a", "jpeg", 1.0), row("b", "jpeg", 1.0), row("a", "jpeg", 2.0)]
    (method,) = summarise(rows)
    assert [point.rung for point in method.points] == [1.0]


def test_a_rate_factor_is_the_delta_by_both_interpolations(row: MakeRow) -> None:
    rows = curve_rows(row, "jpeg", 1.0) + curve_rows(row, "webp", 0.8)
    deltas = {(d.anchor, d.test, d.interpolation): d for d in all_deltas(summarise(rows), {})}
    assert len(deltas) == 4
    for interpolation in ("pchip", "akima"):
        delta = deltas["jpeg", "webp", interpolation]
        assert delta.bd_rate_percent == pytest.approx(-20)
        assert deltas["webp", "jpeg", interpolation].bd_rate_percent == pytest.approx(25)
        assert (delta.low_db, delta.high_db) == (28, 34)
        assert delta.reason is None
        assert delta.bd_rate_ms_ssim_percent is None  # none was measured


def test_the_delta_by_ms_ssim_is_of_its_decibels(row: MakeRow) -> None:
    rows = [
        row(image, codec, rung, bpp_output=factor * 0.1 * 2**rung, ms_ssim=1 - 0.5**rung)
        for codec, factor in (("jpeg", 1.0), ("webp", 0.5))
        for image in ("a", "b") for rung in (1.0, 2.0, 3.0)
    ]  # fmt: skip
    methods = summarise(rows)
    assert list(methods[0].ms_ssim_curve().psnr_db) == pytest.approx([3.0103, 6.0206, 9.0309])
    delta = next(d for d in all_deltas(methods, {}) if d.test == "webp")
    assert delta.bd_rate_ms_ssim_percent == pytest.approx(-50)
    perfect = [row("a", "jpeg", 1.0, ms_ssim=1.0), row("a", "webp", 1.0, ms_ssim=None)]
    perfect += [row("a", "jp2", 1.0, ms_ssim=1.00001)]  # of a flat picture, by rounding
    curves = [method.ms_ssim_curve() for method in summarise(perfect)]
    assert curves[0].psnr_db[0] == curves[2].psnr_db[0] == math.inf
    assert len(curves[1].bpp) == 0


def test_deltas_are_those_of_the_bjontegaard_package(row: MakeRow) -> None:
    published = {"vtm": make_curve([0.1, 0.3, 0.9], [28, 31.5, 35])}
    methods = summarise(curve_rows(row, "jpeg", 1.0))
    delta = next(iter(all_deltas(methods, published)))
    rates, psnrs_db = [0.2, 0.4, 0.8], [28.0, 31.0, 34.0]
    expected = bjontegaard.bd_rate(*published["vtm"], rates, psnrs_db, "pchip", min_overlap=0)
    assert (delta.anchor, delta.test, delta.published) == ("vtm", "jpeg", True)
    assert delta.bd_rate_percent == pytest.approx(expected)


def test_curves_without_a_delta_say_why(row: MakeRow) -> None:
    rows = [*curve_rows(row, "jpeg", 1.0), row("a", "webp", 1.0), row("b", "webp", 1.0)]
    missing = row("a", "jp2", 9.0)  # no point at all: b lacks it
    deltas = list(all_deltas(summarise([*rows, missing]), {}))
    assert {d.reason for d in deltas if d.test in ("webp", "jp2")} == {
        "a curve needs two points or more"
    }
    assert all(d.bd_rate_percent is None for d in deltas)


def test_pictures_that_were_not_coded_are_a_method_without_deltas(row: MakeRow) -> None:
    rows = [*curve_rows(row, "jpeg", 1.0), row("a", "original", None), row("b", "original", None)]
    methods = summarise(rows)
    assert [method.name for method in methods] == ["jpeg", "original"]
    assert methods[1].points[0].mean("bpp") is None
    assert list(all_deltas(methods, {})) == []


@pytest.mark.shared
@pytest.mark.parametrize(
    ("codec", "percent"), [("mbt2018-mean_mse", -6.8), ("vtm", -23.4), ("webp", 39.7)]
)
def test_published_curves_have_their_known_bd_rates(codec: str, percent: float) -> None:
    curves = load_published(SHARED / "data" / "anchors_kodak.json")
    anchor = curves["bmshj2018-hyperprior_mse"]
    assert bd_rate_percent(anchor, curves[codec]) == pytest.approx(percent, abs=0.05)


def test_the_table_has_a_line_a_row_and_empty_cells_for_what_is_unknown(row: MakeRow) -> None:
    rows = [row("a, b.png", "jpeg", 1.0), row("a, b.png", "original", None)]
    table = list(csv.DictReader(io.StringIO(to_csv(rows))))
    assert [line["image"] for line in table] == ["a, b.png", "a, b.png"]
    assert float(table[0]["bpp_output"]) == rows[0].bpp_output
    assert table[1]["stream_bytes"] == table[0]["ms_ssim"] == ""
