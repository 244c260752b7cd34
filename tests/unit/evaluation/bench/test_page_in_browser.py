"""The report in headless Chromium; skipped where there is none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cdsrcodec.evaluation.bd_rate import make_curve
from cdsrcodec.evaluation.bench.plan import Settings
from cdsrcodec.evaluation.bench.report import write_report
from cdsrcodec.evaluation.bench.rows import DIRECT
from cdsrcodec.evaluation.bench.running import Measured
from cdsrcodec.evaluation.bench.timing import Spent

if TYPE_CHECKING:
    Page = Any  # of conftest.py, which cannot be imported

pytestmark = pytest.mark.slow
DIVIDER = "document.getElementById('divider')"
LEFT_CLIP = "document.getElementById('left-image').style.clipPath"


@pytest.fixture
def report(no_plots: None, settings: Settings, measured: Measured) -> Path:
    published = {"vtm (published)": make_curve([0.1, 1], [29, 33])}
    write_report(settings, measured, published, "jpeg")
    return settings.output / "report.html"


def table(page: Page, name: str) -> list[list[str]]:
    cells = "Array.from(row.cells, (cell) => cell.textContent)"
    rows = f"Array.from(document.querySelectorAll('#{name} tbody tr'), (row) => {cells})"
    result: list[list[str]] = page.evaluate(rows)
    return result


def choose(page: Page, select: str, value: str) -> None:
    page.evaluate(
        f"(() => {{ const s = document.getElementById('{select}'); s.value = '{value}';"
        "s.dispatchEvent(new Event('change')); })()"
    )


def test_the_divider_follows_mouse_and_keys(page: Page, report: Path) -> None:
    page.open(report, 1200)
    page.evaluate("document.getElementById('stage').scrollIntoView()")
    box = page.evaluate(
        f"(() => {{ const b = {DIVIDER}.getBoundingClientRect();"
        "return [b.left + b.width / 2, b.top + b.height / 2]; })()"
    )
    before = page.evaluate(LEFT_CLIP)
    page.drag((box[0], box[1]), (box[0] - 8, box[1]))
    dragged = page.evaluate(f"Number({DIVIDER}.getAttribute('aria-valuenow'))")
    assert dragged == pytest.approx(25, abs=1)  # 8 of the 32 px that 16 samples take at 2x
    assert page.evaluate(LEFT_CLIP) != before
    page.evaluate(f"{DIVIDER}.focus()")
    page.press("ArrowRight")
    assert page.evaluate(f"Number({DIVIDER}.getAttribute('aria-valuenow'))") == dragged + 2
    page.press("End")
    assert page.evaluate(f"{DIVIDER}.getAttribute('aria-valuenow')") == "100"
    assert page.errors == []


def test_the_zoom_enlarges_both_cut_outs_alike(page: Page, report: Path) -> None:
    page.open(report, 1200)
    page.evaluate("document.querySelectorAll('#view-zoom button')[3].click()")
    sizes = page.evaluate(
        "['left', 'right'].map((side) => document.getElementById(`${side}-image`).offsetWidth)"
    )
    assert sizes == [8 * 16, 8 * 16]
    assert page.errors == []


def test_the_right_side_has_the_nearest_bytes_or_psnr(page: Page, report: Path) -> None:
    page.open(report, 1200)
    page.evaluate("document.getElementById('left-point').selectedIndex = 2")
    choose(page, "view-match", "bytes")
    assert page.evaluate("document.getElementById('right-point').selectedIndex") == 2
    assert page.evaluate("document.getElementById('right-point').disabled") is True
    choose(page, "left-method", "the picture itself")  # which has no bytes to match
    assert page.evaluate("document.getElementById('right-point').disabled") is False
    assert page.evaluate("document.getElementById('right-point').selectedIndex") == 2
    choose(page, "left-method", "webp")
    assert page.evaluate("document.getElementById('right-point').disabled") is True
    choose(page, "view-match", "free")
    assert page.evaluate("document.getElementById('right-point').disabled") is False
    choose(page, "right-method", "the picture itself")
    caption = page.evaluate("document.getElementById('right-caption').textContent")
    assert caption == "the picture itself"
    assert page.errors == []


def test_a_codec_without_files_of_a_picture_leaves_the_page_whole(
    page: Page, report: Path, settings: Settings, measured: Measured
) -> None:
    first, second = (picture.path.name for picture in measured.pictures)
    measured.rows = [row for row in measured.rows if (row.codec, row.image) != ("jpeg", first)]
    write_report(settings, measured, {}, "jpeg")
    page.open(report, 1200)
    caption = "document.getElementById('right-caption').textContent"
    assert page.evaluate(caption) == "jpeg: no file of this picture"
    assert page.evaluate("document.getElementById('right-image').hidden") is True
    assert page.evaluate("document.getElementById('left-image').offsetWidth") == 2 * 16
    assert len(table(page, "rows")) == 3
    choose(page, "view-picture", second)
    assert page.evaluate(caption).startswith("jpeg, ")
    assert page.evaluate("document.getElementById('right-image').hidden") is False
    assert page.errors == []


def test_a_heading_sorts_its_table_both_ways(page: Page, report: Path) -> None:
    page.open(report, 1200)
    heading = "document.querySelectorAll('#rows th')[3].querySelector('button')"
    assert page.evaluate(f"{heading}.textContent") == "quality"
    page.evaluate(f"{heading}.click()")
    rising = [row[3] for row in table(page, "rows")]
    page.evaluate(f"{heading}.click()")
    falling = [row[3] for row in table(page, "rows")]
    assert rising == sorted(rising)
    assert falling == rising[::-1]
    assert page.evaluate("document.querySelectorAll('#rows th')[3].ariaSort") == "descending"


def test_the_deltas_change_with_the_anchor(page: Page, report: Path) -> None:
    page.open(report, 1200)
    assert [row[0] for row in table(page, "deltas")] == ["webp"]
    choose(page, "delta-anchor", "vtm (published)")
    assert [row[0] for row in table(page, "deltas")] == ["webp", "jpeg"]
    assert page.errors == []


def test_crossovers_are_shown_where_there_are_enlarged_codecs(
    page: Page, report: Path, settings: Settings, measured: Measured
) -> None:
    hidden = "document.getElementById('crossover-section').hidden"
    page.open(report, 1200)
    assert page.evaluate(hidden) is True
    enlargers = {"webp": "bicubic", "jpeg": DIRECT}
    measured.rows = [replace(row, enlarger=enlargers[row.codec]) for row in measured.rows]
    measured.timing.add(Spent(1.0, 0.5, 0.25), wall_s=2.0)
    write_report(settings, measured, {}, "webp bicubic")
    page.open(report, 1200)
    assert page.evaluate(hidden) is False
    ((enlarged, direct, *_, reason),) = table(page, "crossovers")
    assert (enlarged, direct) == ("webp bicubic", "jpeg direct")
    assert reason == "enlarging is ahead at the highest common rate"
    about = page.evaluate("document.getElementById('about').textContent")
    assert "1 units of work in 2.0 s by 1 process, codecs 50.0 %, metrics 25.0 %" in about
    assert page.errors == []


def test_the_plot_zooms_by_keys_and_hides_a_curve(page: Page, report: Path) -> None:
    page.open(report, 1200)
    first_dot = "document.querySelector('#curves circle').getAttribute('cx')"
    before = page.evaluate(first_dot)
    page.evaluate("document.getElementById('curves').focus()")
    page.press("+")
    assert page.evaluate(first_dot) != before
    page.press("0")
    assert page.evaluate(first_dot) == before
    dots = "document.querySelectorAll('#curves circle').length"
    count = page.evaluate(dots)
    page.evaluate("document.querySelector('#legend button').click()")
    assert 0 < page.evaluate(dots) < count
    assert page.errors == []


@pytest.mark.parametrize("dark", [False, True])
def test_the_page_fits_a_phone_in_light_and_dark(page: Page, report: Path, dark: bool) -> None:
    page.open(report, 390, dark=dark)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(255, 255, 255)") is not dark
    assert page.errors == []
