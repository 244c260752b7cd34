"""The table of all enlargers, of finished reports of `cdsrcodec bench --task sr4`.

    python -m cdsrcodec.evaluation.enlargers REPORT... -o docs/results/enlargers/table.md

For each quality of the first codec every method with mean and standard deviation over the pictures,
then what was never coded, then the Bjontegaard deltas against one method.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cdsrcodec.errors import CdsrError
from cdsrcodec.evaluation.bench.report import SUMMARY_FILE
from cdsrcodec.evaluation.bench.rows import ORIGINAL
from cdsrcodec.evaluation.scripts import exit_code
from cdsrcodec.evaluation.tables import NONE, Summary, figure, table
from cdsrcodec.imageio.writer import write_bytes

ANCHOR = "cdsr1 edsr"  # baseline 1 of study B
COLUMNS = (
    ("stream_bytes", "bytes", "{:.0f}"),
    ("psnr_rgb_db", "PSNR RGB", "{:.2f}"),
    ("psnr_y_db", "PSNR Y", "{:.2f}"),
    ("ms_ssim", "MS-SSIM", "{:.4f}"),
    ("encode_s", "encode s", "{:.2f}"),
    ("decode_s", "decode s", "{:.2f}"),
)
INTERPOLATION = "pchip"


def enlargers_page(
    summaries: Sequence[Summary], qualities: Sequence[float], anchor: str = ANCHOR
) -> str:
    """The page, in Markdown.

    Args:
        summaries: what summary.json of each report holds; of the same pictures. Where a method
            is in several, the first one counts.
        qualities: the rungs that are shown.
        anchor: the method that deltas are against.

    Raises:
        CdsrError: the reports are of other tasks, or of different pictures.
    """
    _require_alike(summaries)
    methods = {m["name"]: m for s in reversed(summaries) for m in s["methods"]}
    names = list(dict.fromkeys(m["name"] for s in summaries for m in s["methods"]))
    coded = [methods[name] for name in names if methods[name]["codec"] != ORIGINAL]
    originals = [methods[name] for name in names if methods[name]["codec"] == ORIGINAL]
    lines = [
        "# Enlargers",
        "",
        f"{len(summaries[0]['pictures'])} pictures, reduced by 4, coded, enlarged by 4: mean ± "
        "standard deviation over the pictures. Written by `python -m "
        "cdsrcodec.evaluation.enlargers`; what the columns are is in bench.md.",
    ]
    for quality in qualities:
        rows = _rows(coded, quality)
        lines += ["", f"## Quality {quality:g}", "", *_table(rows)]
    lines += ["", "## Not coded", "", *_table(_rows(originals, None))]
    lines += ["", f"## Bjøntegaard deltas against `{anchor}`", "", *_deltas(summaries, anchor)]
    return "\n".join(lines) + "\n"


def _require_alike(summaries: Sequence[Summary]) -> None:
    pictures = {tuple(picture["sha256"] for picture in s["pictures"]) for s in summaries}
    if {s["task"] for s in summaries} != {"sr4"} or len(pictures) != 1:
        raise CdsrError("not reports of task sr4 of the same pictures. hint: bench them again")


def _rows(
    methods: Iterable[Mapping[str, Any]], rung: float | None
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The point of each method that has one at this rung."""
    for method in methods:
        for point in method["points"]:
            if point["rung"] == rung:
                yield f"`{method['name']}`", point


def _table(rows: Iterable[tuple[str, Mapping[str, Any]]]) -> Iterator[str]:
    head = ["method", *(title for _, title, _ in COLUMNS)]
    return table(
        head, ([name, *(_spread(point[key], t) for key, _, t in COLUMNS)] for name, point in rows)
    )


def _spread(spread: Mapping[str, float | None] | None, template: str) -> str:
    """Mean and deviation; NONE where nothing was measured, or the mean is infinite."""
    if spread is None or spread["mean"] is None:
        return NONE
    return f"{template.format(spread['mean'])} ± {template.format(spread['deviation'])}"


def _deltas(summaries: Sequence[Summary], anchor: str) -> Iterator[str]:
    found: dict[str, Mapping[str, Any]] = {}
    for summary in summaries:
        for delta in summary["deltas"]:
            if (delta["anchor"], delta["interpolation"]) == (anchor, INTERPOLATION):
                found.setdefault(delta["test"], delta)
    rows = [
        [
            f"`{test}`",
            figure(delta["bd_rate_percent"], "{:+.1f} %"),
            figure(delta["bd_psnr_db"], "{:+.2f} dB"),
            figure(delta.get("bd_rate_ms_ssim_percent"), "{:+.1f} %"),
        ]
        for test, delta in found.items()
    ]
    return table(["method", "BD-rate", "BD-PSNR", "BD-rate by MS-SSIM"], rows)


def _read(report: Path) -> Summary:
    """What summary.json of a report holds.

    Raises:
        CdsrError: it has none.
    """
    file = report / SUMMARY_FILE
    try:
        summary: Summary = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CdsrError(f"{file}: no report. hint: make it by cdsrcodec bench") from error
    return summary


def main(argv: Sequence[str] | None = None) -> int:
    """Write the page of some reports; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m cdsrcodec.evaluation.enlargers", description=__doc__
    )
    parser.add_argument("reports", type=Path, nargs="+", help="folders of reports")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the page")
    parser.add_argument("--qualities", type=float, nargs="+", default=[1.0, 4.0, 8.0])
    parser.add_argument("--anchor", default=ANCHOR, help="what deltas are against")
    args = parser.parse_args(argv)

    def run() -> None:
        """Write the page of all reports."""
        summaries = [_read(report) for report in args.reports]
        page = enlargers_page(summaries, args.qualities, args.anchor)
        write_bytes(page.encode(), args.output)

    return exit_code(run)


if __name__ == "__main__":
    sys.exit(main())
