"""What a benchmark leaves behind: table, summary, plots and the page to look at."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

from cdsrcodec.evaluation.bd_rate import Curve
from cdsrcodec.evaluation.bench.crossover import Crossover, find_crossovers
from cdsrcodec.evaluation.bench.page import build_page
from cdsrcodec.evaluation.bench.plan import Settings, describe_enlargers
from cdsrcodec.evaluation.bench.plots import draw_plots
from cdsrcodec.evaluation.bench.rows import to_csv
from cdsrcodec.evaluation.bench.running import Measured
from cdsrcodec.evaluation.bench.summary import (
    BD_METHODS,
    Delta,
    Method,
    all_deltas,
    plain,
    summarise,
)
from cdsrcodec.imageio.writer import write_bytes

ROWS_FILE, SUMMARY_FILE, PAGE_FILE = "rows.csv", "summary.json", "report.html"


class Findings(NamedTuple):
    """What a report says first: the deltas against its anchor, by pchip, and the crossovers."""

    deltas: list[Delta]
    crossovers: list[Crossover]


def write_report(
    settings: Settings, measured: Measured, published: Mapping[str, Curve], anchor: str
) -> Findings:
    """Write rows.csv, summary.json, the plots and report.html into the report's folder.

    Args:
        settings: what was measured.
        measured: what came of it.
        published: mean curves of the same pictures at native size, as anchors.
        anchor: the method or published curve that plots and page compare with at first.

    Raises:
        FileAccessError: a file cannot be written.
    """
    methods = summarise(measured.rows)
    deltas = list(all_deltas(methods, published))
    crossovers = list(find_crossovers(methods))
    summary = describe(settings, measured, methods, deltas, crossovers)
    chosen = [d for d in deltas if d.anchor == anchor and d.interpolation == BD_METHODS[0]]
    files = {
        ROWS_FILE: to_csv(measured.rows),
        SUMMARY_FILE: json.dumps(summary, indent=1, allow_nan=False),
        PAGE_FILE: build_page(settings, measured, summary, anchor),
    }
    for name, text in files.items():  # names of files need not be UTF-8
        write_bytes(text.encode(errors="surrogateescape"), settings.output / name)
    for name, data in draw_plots(methods, chosen).items():
        write_bytes(data, settings.output / name)
    return Findings(chosen, crossovers)


def describe(
    settings: Settings,
    measured: Measured,
    methods: Sequence[Method],
    deltas: Sequence[Delta],
    crossovers: Sequence[Crossover],
) -> dict[str, Any]:
    """The summary as JSON holds it: what was run on which pictures, and what came of it."""
    timing = measured.timing
    return {
        "version": settings.version,
        "task": settings.task,
        "codecs": {
            codec.name: {**codec.describe(), "qualities": list(settings.rungs(codec))}
            for codec in settings.codecs
        },
        "enlargers": describe_enlargers(settings) if settings.task == "sr4" else [],
        "pictures": [
            {
                "image": picture.path.name,
                "sha256": picture.sha256,
                "width_px": picture.width_px,
                "height_px": picture.height_px,
            }
            for picture in measured.pictures
        ],
        "failures": {path.name: str(error) for path, error in measured.failures.items()},
        "methods": [plain(_described(method)) for method in methods],
        "deltas": [plain(asdict(delta)) for delta in deltas],
        "crossovers": [plain(asdict(crossover)) for crossover in crossovers],
        "timing": {
            "processes": timing.processes,
            "units": timing.units,
            "wall_s": timing.wall_s,
            "spent": timing.spent._asdict(),
            "shares_percent": timing.shares_percent(),
        },
    }


def _described(method: Method) -> dict[str, Any]:
    points = [{"rung": p.rung, "pictures": p.pictures, **p.measures} for p in method.points]
    return {
        "name": method.name,
        "codec": method.codec,
        "enlarger": method.enlarger,
        "points": points,
    }


def delta_line(delta: Delta) -> str:
    """A delta in words, with its range and interpolation, or why there is none."""
    if delta.bd_rate_percent is None:
        return f"{delta.test} against {delta.anchor}: none ({delta.interpolation}), {delta.reason}"
    line = (
        f"{delta.test} against {delta.anchor}: {delta.bd_rate_percent:+.2f} %, "
        f"{delta.bd_psnr_db:+.3f} dB, over {delta.low_db:.2f} to {delta.high_db:.2f} dB "
        f"({delta.interpolation})"
    )
    if delta.bd_rate_ms_ssim_percent is None:
        return line
    return f"{line}; by MS-SSIM {delta.bd_rate_ms_ssim_percent:+.2f} %"
