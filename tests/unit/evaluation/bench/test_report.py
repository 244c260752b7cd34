from __future__ import annotations

import base64
import dataclasses
import io
import json
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cdsrcodec.errors import InputImageError
from cdsrcodec.evaluation.bd_rate import make_curve
from cdsrcodec.evaluation.bench.page import collect_views
from cdsrcodec.evaluation.bench.plan import Settings
from cdsrcodec.evaluation.bench.plots import draw_plots, standard_error
from cdsrcodec.evaluation.bench.report import delta_line, write_report
from cdsrcodec.evaluation.bench.rows import Row
from cdsrcodec.evaluation.bench.running import Measured
from cdsrcodec.evaluation.bench.summary import Delta, summarise

VOID = {"img", "link", "meta"}


class Document(HTMLParser):
    """The elements of a page by name and id; refuses tags that do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.texts: dict[str, str] = {}
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.ids += [value for name, value in attrs if name == "id" and value]
        self.links += [v for name, v in attrs if name in ("src", "href") and v]
        if tag not in VOID:
            self.open.append(attributes.get("id") or tag)
            self.texts[self.open[-1]] = ""

    def handle_endtag(self, tag: str) -> None:
        assert self.open, tag
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if self.open:
            self.texts[self.open[-1]] += data


@pytest.fixture
def report(no_plots: None, settings: Settings, measured: Measured) -> Path:
    """The folder of a report with one failure and one published curve."""
    broken = settings.folder / "<b>roken.png"
    measured.failures[broken] = InputImageError(f"{broken}: not an image")
    write_report(settings, measured, {"vtm (published)": make_curve([0.1, 1], [29, 33])}, "jpeg")
    return settings.output


def page_data(report: Path) -> dict[str, Any]:
    document = Document((report / "report.html").read_text())
    data: dict[str, Any] = json.loads(document.texts["data"])
    return data


def test_the_summary_names_codecs_pictures_curves_deltas_and_failures(report: Path) -> None:
    summary = json.loads((report / "summary.json").read_text())
    assert list(summary["codecs"]) == ["webp", "jpeg"]
    assert summary["codecs"]["webp"]["options"] == {"method": 6}
    assert summary["codecs"]["webp"]["qualities"] == [10, 60]
    assert [picture["image"] for picture in summary["pictures"]] == ["a.png", "b.PNG"]
    first = summary["methods"][0]["points"][0]
    assert (first["rung"], first["pictures"]) == (1, 2)
    assert first["psnr_rgb_db"] == pytest.approx({"mean": 29.5, "deviation": 0.5**0.5})
    assert {(d["anchor"], d["test"]) for d in summary["deltas"]} == {
        ("jpeg", "webp"), ("webp", "jpeg"), ("vtm (published)", "webp"), ("vtm (published)", "jpeg")
    }  # fmt: skip
    assert list(summary["failures"]) == ["<b>roken.png"]
    assert summary["timing"]["shares_percent"] == {}


def test_the_report_has_its_files_and_returns_the_deltas_against_the_anchor(
    settings: Settings, measured: Measured
) -> None:
    (delta,), crossovers = write_report(settings, measured, {}, "jpeg")
    assert crossovers == []
    assert (delta.anchor, delta.test, delta.interpolation) == ("jpeg", "webp", "pchip")
    assert delta.bd_psnr_db == pytest.approx(1.0)
    report = settings.output
    names = {path.name for path in report.iterdir()}
    plots = {
        f"{name}.{ending}"
        for name in ("rd-psnr_rgb_db", "rd-psnr_y_db", "bd-table") for ending in ("pdf", "png")
    }  # fmt: skip
    assert names == {"views", "rows.csv", "summary.json", "report.html", *plots}
    with Image.open(report / "rd-psnr_rgb_db.png") as image:
        assert image.width > 1000
        assert np.ptp(np.asarray(image.convert("L"))) > 100


def test_a_delta_in_words_has_its_range_or_its_reason() -> None:
    delta = Delta("jpeg", "webp", False, "pchip", -12.345, 1.0, 29.5, 34.5)
    assert delta_line(delta) == (
        "webp against jpeg: -12.35 %, +1.000 dB, over 29.50 to 34.50 dB (pchip)"
    )
    both = dataclasses.replace(delta, bd_rate_ms_ssim_percent=-9.876)
    assert delta_line(both) == f"{delta_line(delta)}; by MS-SSIM -9.88 %"
    none = Delta("jpeg", "webp", False, "akima", reason="too short")
    assert delta_line(none) == "webp against jpeg: none (akima), too short"


def test_the_page_is_whole_and_asks_for_nothing(report: Path) -> None:
    text = (report / "report.html").read_text()
    document = Document(text)
    assert document.open == []
    assert len(document.ids) == len(set(document.ids))
    assert document.links == ["data:,"]
    assert {"curves", "deltas", "divider", "means", "rows", "settings"} <= set(document.ids)
    assert "<!--" not in text
    assert "http://" not in text.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in text
    assert text.count("<script") == text.count("</script>") == 2


def test_the_page_holds_the_rows_and_the_very_samples(
    report: Path, settings: Settings, measured: Measured
) -> None:
    data = page_data(report)
    assert len(data["rows"]) == len(measured.rows) == 12
    column = {name: index for index, name in enumerate(data["columns"])}
    for values, row in zip(data["rows"], measured.rows, strict=True):
        assert values[column["stream_bytes"]] == row.stream_bytes
        uri = data["views"][row.image][row.view]
        with Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))) as view:
            shade = (100 if row.codec == "webp" else 200) + int(row.rung or 0)
            assert np.unique(np.asarray(view)).tolist() == [shade]
    assert set(data["views"]) == {"a.png", "b.PNG"}
    assert all("reference" in views for views in data["views"].values())
    assert data["summary"]["failures"]["<b>roken.png"].endswith("not an image")


def test_the_page_leaves_out_pictures_beyond_its_budget(
    settings: Settings, measured: Measured
) -> None:
    both = collect_views(settings, measured)
    size = sum(len(base64.b64decode(uri.split(",")[1])) for uri in both["a.png"].values())
    assert list(collect_views(settings, measured, size)) == ["a.png"]
    assert collect_views(settings, measured, size - 1) == {}
    assert collect_views(dataclasses.replace(settings, crop_px=0), measured) == {}


def test_an_error_bar_is_the_standard_error(row: Callable[..., Row]) -> None:
    rows = [row(str(n), "jpeg", 1.0, psnr_rgb_db=db) for n, db in enumerate((30.0, 34.0))]
    (method,) = summarise(rows)
    assert standard_error(method.points[0], "psnr_rgb_db") == pytest.approx(2.0)
    assert standard_error(method.points[0], "ms_ssim") == 0


def test_pictures_that_were_not_coded_are_drawn_across(row: Callable[..., Row]) -> None:
    coded = [row("a", "jpeg", rung, enlarger="bicubic") for rung in (1.0, 2.0)]
    without = draw_plots(summarise(coded), [])
    original = row("a", "original", None, enlarger="bicubic")
    with_band = draw_plots(summarise([*coded, original]), [])
    assert set(without) == set(with_band)
    assert without["rd-psnr_rgb_db.png"] != with_band["rd-psnr_rgb_db.png"]
