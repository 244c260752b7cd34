"""Markdown tables of committed results, from what summary.json holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from cdsrcodec.evaluation.bench.crossover import Crossover, crossover_line
from cdsrcodec.evaluation.bench.rows import DIRECT, ORIGINAL
from cdsrcodec.evaluation.bench.timing import Spent, Timing, timing_line

CODEC = "cdsr1"
NAMES = {
    "jpeg": "JPEG (4:2:0)",
    "webp": "WebP (method 6)",
    "avif420": "AVIF (4:2:0, speed 4)",
    "avif444": "AVIF (4:4:4, speed 4)",
    "bmshj2018-hyperprior_mse (published)": "bmshj2018-hyperprior, published",
    "bpg_444_x265 (published)": "BPG (4:4:4, x265), published",
    "av1 (published)": "AV1, published",
    "vtm (published)": "VTM, published",
}
"""What the README compares with, and what it calls them."""
SETS = {"kodak": "Kodak", "clic": "CLIC"}
TREATMENTS = {
    "native": "at their size",
    "lr4": "reduced by 4",
    "sr4": "reduced by 4, coded, enlarged by 4",
}
NONE = "–"  # noqa: RUF001  what a table cell has in the place of a figure

Summary = Mapping[str, Any]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """The lines of a Markdown table."""
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def figure(value: float | None, template: str) -> str:
    """The number as text, NONE where there is none."""
    return NONE if value is None else template.format(value)


def readme_table(summaries: Mapping[str, Summary], link: str) -> str:
    """The README's tables: size at equal PSNR, and PSNR of four times larger pictures.

    Args:
        summaries: by name of the benchmark.
        link: from the README to the page with all figures.
    """
    lines: list[str] = []
    coded = {name: s for name, s in summaries.items() if s["task"] != "sr4"}
    if coded:
        lines += ["Bytes at equal PSNR, BD-rate of RGB PSNR; negative: `cdsr1` needs fewer.", ""]
        head = [f"`{CODEC}` against", *map(_title, coded, coded.values())]
        lines += [*table(head, _size_rows(coded.values())), ""]
    for name, summary in summaries.items():
        if summary["task"] == "sr4":
            lines += [f"Four times larger, PSNR of RGB in dB: {_title(name, summary)}.", ""]
            lines += [*_enlarged_table(summary), ""]
    lines.append(f"From [{link}]({link}), which has all figures and how they are made.")
    return "\n".join(lines) + "\n"


def _title(name: str, summary: Summary) -> str:
    count, treatment = len(summary["pictures"]), TREATMENTS[summary["task"]]
    pictures = "1 picture" if count == 1 else f"{count} pictures"
    return f"{SETS.get(name.split('-')[0], name)}, {pictures} {treatment}"


def _size_rows(summaries: Iterable[Summary]) -> Iterator[list[str]]:
    """A row for each of NAMES that some benchmark compares with."""
    by_anchor = [
        {d["anchor"]: d["bd_rate_percent"] for d in _deltas(summary, "pchip")}
        for summary in summaries
    ]
    for anchor, name in NAMES.items():
        if any(anchor in rates for rates in by_anchor):
            yield [name, *(figure(rates.get(anchor), "{:+.1f} %") for rates in by_anchor)]


def _test_method(summary: Summary) -> str:
    """The method that is judged: the first one of the codec."""
    names: list[str] = [m["name"] for m in summary["methods"] if m["codec"] == CODEC]
    return names[0]


def _deltas(summary: Summary, interpolation: str) -> list[dict[str, Any]]:
    test = _test_method(summary)
    return [
        d for d in summary["deltas"] if (d["test"], d["interpolation"]) == (test, interpolation)
    ]


def _enlarged_table(summary: Summary) -> Iterator[str]:
    methods = {m["enlarger"]: m["points"] for m in summary["methods"] if m["codec"] == CODEC}
    originals = {m["enlarger"]: m["points"] for m in summary["methods"] if m["codec"] == ORIGINAL}
    methods.pop(DIRECT, None)
    first = next(iter(methods.values()))
    rates = ["bits per pixel of the small picture"]
    rates += [figure(_mean(point, "bpp"), "{:.3f}") for point in first]
    rows = [[*rates, NONE] if originals else rates]
    for enlarger, points in methods.items():
        uncoded = originals.get(enlarger, [{}]) if originals else []
        values = [_mean(point, "psnr_rgb_db") for point in (*points, *uncoded)]
        rows.append([f"`{enlarger}`", *(figure(value, "{:.2f}") for value in values)])
    head = ["quality", *(f"{point['rung']:g}" for point in first)]
    return table([*head, "not coded"] if originals else head, rows)


def _mean(point: Mapping[str, Any], name: str) -> float | None:
    spread = point.get(name)
    return None if spread is None else spread["mean"]


def quality_page(summaries: Mapping[str, Summary]) -> str:
    """The page of the results: for each benchmark its curves, deltas, crossovers and time."""
    lines = [
        "# Quality",
        "",
        "Written by `python -m cdsrcodec.evaluation.results` from the tables beside it; with the "
        "folders of the pictures it measures them as well ([bench.md](../../bench.md)). PSNR is of "
        "8-bit RGB pictures, rates are of whole files.",
        "",
    ]
    for name, summary in summaries.items():
        lines += [f"## {_title(name, summary)}", "", f"![Curves]({name}/rd.png)", ""]
        lines += [f"Measured with version {summary['version']}: "
                  f"[rows of each picture]({name}/rows.csv), "
                  f"[summary with settings and weights]({name}/summary.json).", ""]  # fmt: skip
        lines += [*_means(summary), "", *_delta_table(summary), ""]
        if notes := [*_notes(summary)]:
            lines += [*notes, ""]
    return "\n".join(lines[:-1]) + "\n"


def _notes(summary: Summary) -> Iterator[str]:
    for crossover in summary["crossovers"]:
        yield f"- {crossover_line(Crossover(**crossover))}."
    if summary["timing"]:
        told = summary["timing"]
        spent = Spent(**told["spent"])
        timing = Timing(told["processes"], told["units"], told["wall_s"], spent)
        yield f"- The last run: {timing_line(timing)}."


COLUMNS = (
    ("bpp", "bpp coded", "{:.4f}"),
    ("bpp_output", "bpp output", "{:.4f}"),
    ("psnr_rgb_db", "PSNR RGB", "{:.3f}"),
    ("psnr_y_db", "PSNR Y", "{:.3f}"),
    ("ms_ssim", "MS-SSIM", "{:.5f}"),
    ("encode_s", "encode s", "{:.3f}"),
    ("decode_s", "decode s", "{:.3f}"),
)


def _means(summary: Summary) -> Iterator[str]:
    """The mean curves, by what was measured; the two rates differ in sr4 alone."""
    points = [point for method in summary["methods"] for point in method["points"]]
    columns = [
        column
        for column in COLUMNS
        if any(_mean(point, column[0]) is not None for point in points)
        and (column[0] != "bpp_output" or summary["task"] == "sr4")
    ]
    rows = [
        [method["name"], figure(point["rung"], "{:g}"),
         *(figure(_mean(point, name), template) for name, _, template in columns)]
        for method in summary["methods"] for point in method["points"]
    ]  # fmt: skip
    return table(["method", "quality", *(title for _, title, _ in columns)], rows)


def _delta_table(summary: Summary) -> Iterator[str]:
    akima = {d["anchor"]: d["bd_rate_percent"] for d in _deltas(summary, "akima")}
    rows = [
        [
            delta["anchor"],
            figure(delta["bd_rate_percent"], "{:+.2f} %"),
            figure(akima[delta["anchor"]], "{:+.2f} %"),
            figure(delta["bd_psnr_db"], "{:+.3f} dB"),
            f"{delta['low_db']:.2f} to {delta['high_db']:.2f} dB"
            if delta["reason"] is None
            else delta["reason"],
        ]
        for delta in _deltas(summary, "pchip")
    ]
    test = _test_method(summary)
    head = [f"`{test}` against", "BD-rate (pchip)", "BD-rate (Akima)", "BD-PSNR", "over"]
    return table(head, rows)
