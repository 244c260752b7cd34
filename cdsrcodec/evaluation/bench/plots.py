"""Figures for print: a rate-distortion plot for each metric, and the table of deltas."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter
from matplotlib.transforms import Bbox

from cdsrcodec.evaluation.bench.rows import METRICS, ORIGINAL
from cdsrcodec.evaluation.bench.summary import Delta, Method, Point

LABELS: Mapping[str, str] = {
    "psnr_rgb_db": "PSNR of RGB (dB)",
    "psnr_y_db": "PSNR of Y (dB)",
    "ms_ssim": "MS-SSIM",
    "ssimulacra2": "SSIMULACRA 2",
}
FORMATS = ("pdf", "png")
PNG_DPI = 200
# Okabe and Ito's colours, which the colour-blind tell apart; one a codec.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7f7f7f", "#000000")
LINES = ("-", "--", "-.", ":", (0, (1, 3)))
MARKERS = ("o", "s", "^", "D", "x")


def draw_plots(methods: Sequence[Method], deltas: Sequence[Delta]) -> dict[str, bytes]:
    """The figures by file name, each as PDF and PNG.

    Args:
        methods: of summary.summarise.
        deltas: the rows of the table of deltas, all against one anchor.
    """
    figures = {
        f"rd-{metric}": _draw_curves(methods, metric)
        for metric in METRICS
        if any(known_points(method, metric) for method in methods)
    }
    if deltas:
        figures["bd-table"] = _draw_table(deltas)
    files = {}
    for name, figure in figures.items():
        for file_format in FORMATS:
            file = io.BytesIO()
            figure.savefig(file, format=file_format, dpi=PNG_DPI, bbox_inches="tight")
            files[f"{name}.{file_format}"] = file.getvalue()
    return files


def known_points(method: Method, metric: str) -> list[Point]:
    """The points with a finite mean of this metric, by rate where they have one."""
    means = [(point, point.mean(metric)) for point in method.points]
    points = [point for point, mean in means if mean is not None and math.isfinite(mean)]
    return sorted(points, key=lambda p: p.mean("bpp_output") or 0.0)


def standard_error(point: Point, name: str) -> float:
    """Of the mean over pictures: half the height of an error bar."""
    spread = point.measures[name]
    return spread.deviation / math.sqrt(point.pictures) if spread else 0.0


def _draw_curves(methods: Sequence[Method], metric: str) -> Figure:
    figure = Figure(figsize=(6.5, 4.5))
    axes = figure.add_subplot()
    codecs = list(dict.fromkeys(m.codec for m in methods))
    enlargers = list(dict.fromkeys(m.enlarger for m in methods))
    for method in methods:
        colour = COLOURS[codecs.index(method.codec) % len(COLOURS)]
        style = enlargers.index(method.enlarger) % len(LINES)
        points = known_points(method, metric)
        if method.codec == ORIGINAL:
            _draw_band(axes, method, points, metric, style)
            continue
        axes.errorbar(
            np.array([p.mean("bpp_output") for p in points], np.float64),
            np.array([p.mean(metric) for p in points], np.float64),
            yerr=[standard_error(p, metric) for p in points],
            color=colour, linestyle=LINES[style], marker=MARKERS[style],
            markersize=3.5, linewidth=1.2, capsize=2, label=method.name,
        )  # fmt: skip
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("bits per pixel of the output")
    axes.set_ylabel(f"{LABELS[metric]}, mean ± standard error")
    axes.grid(alpha=0.3, which="both", linewidth=0.5)
    axes.legend(fontsize="x-small", ncols=1 + len(methods) // 12, frameon=False)
    return figure


def _draw_band(
    axes: Axes, method: Method, points: Sequence[Point], metric: str, style: int
) -> None:
    """A picture that was not coded has no rate: a line across, and its error as a band."""
    for point in points:
        mean, error = point.mean(metric) or 0.0, standard_error(point, metric)
        axes.axhspan(mean - error, mean + error, color="#999999", alpha=0.12, linewidth=0)
        axes.axhline(
            mean, color="#666666", linestyle=LINES[style], linewidth=0.9, label=method.name
        )


def _draw_table(deltas: Sequence[Delta]) -> Figure:
    figure = Figure(figsize=(6.5, 0.25 * (1 + len(deltas))))
    axes = figure.add_subplot()
    axes.axis("off")
    first = deltas[0]
    axes.set_title(
        f"Against {first.anchor} (PSNR of RGB, {first.interpolation} over log rate)", fontsize=9
    )
    table = axes.table(
        [_cells(delta) for delta in deltas],
        colLabels=["", "BD-rate", "BD-PSNR", "range"],
        bbox=Bbox.unit(),
        edges="horizontal",
    )
    table.auto_set_font_size(False)
    table.set_fontsize(8)
    return figure


def _cells(delta: Delta) -> list[str]:
    if delta.bd_rate_percent is None:
        return [delta.test, "none", "none", "none"]  # why stands in summary.json
    return [
        delta.test,
        f"{delta.bd_rate_percent:+.2f} %",
        f"{delta.bd_psnr_db:+.3f} dB",
        f"{delta.low_db:.2f} to {delta.high_db:.2f} dB",
    ]
