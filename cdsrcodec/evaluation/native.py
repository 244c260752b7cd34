"""Rate-distortion at native size, from real file bytes, beside classical codecs.

python -m cdsrcodec.evaluation.native IMAGES_DIR -o OUT.tsv --published ANCHORS.json
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cdsrcodec import api
from cdsrcodec.evaluation.anchors import ANCHORS, Coded, Ladder, load_published
from cdsrcodec.evaluation.bd_rate import (
    Curve,
    bd_psnr_db,
    bd_rate_percent,
    common_range_db,
    make_curve,
    mean_points,
)
from cdsrcodec.evaluation.metrics import psnr_rgb_db
from cdsrcodec.evaluation.sweep import exit_code, run_sweep

CODEC = "cdsr1"


@dataclass(frozen=True)
class NativeRow:
    """One picture, codec and quality."""

    image: str
    codec: str
    quality: float
    width_px: int
    height_px: int
    stream_bytes: int
    bpp: float
    psnr_rgb_db: float


def code_cdsr1(x: NDArray[np.uint8], quality: float, *, effort: int = 0) -> Coded:
    """A .cdsr stream in memory, and its native picture."""
    stream = api.encode(x, quality=quality, codec=CODEC, effort=effort)
    return Coded(stream, np.asarray(api.decode(stream)))


def measure_picture(
    image: str, x: NDArray[np.uint8], ladders: Mapping[str, Ladder]
) -> Iterator[NativeRow]:
    """The rows of one picture x (H, W, 3): every codec at every rung of its ladder.

    bpp counts the whole file over the real pixels.
    """
    height_px, width_px = x.shape[:2]
    for codec, ladder in ladders.items():
        for quality in ladder.qualities:
            stream, x_hat = ladder.code(x, quality)
            bpp = 8 * len(stream) / (width_px * height_px)
            psnr_db = psnr_rgb_db(x, x_hat)
            yield NativeRow(image, codec, quality, width_px, height_px, len(stream), bpp, psnr_db)


def summarise(rows: Sequence[NativeRow], published: Mapping[str, Curve]) -> Iterator[str]:
    """Lines of the report: mean curves, then `cdsr1` against every other one."""
    curves = {}
    yield "codec\tquality\tbpp\tpsnr_rgb_db"
    for codec in dict.fromkeys(row.codec for row in rows):
        points = mean_points((r.quality, r.bpp, r.psnr_rgb_db) for r in rows if r.codec == codec)
        for quality, bpp, psnr_db in points:
            yield f"{codec}\t{quality:g}\t{bpp:.4f}\t{psnr_db:.3f}"
        _, bpps, psnrs_db = zip(*points, strict=True)
        curves[codec] = make_curve(bpps, psnrs_db)
    test = curves.pop(CODEC)
    yield f"BD-rate and BD-PSNR of {CODEC} (RGB, pchip over log rate)"
    for codec, anchor in curves.items():
        yield f"against {codec}, measured: {describe_delta(anchor, test)}"
    for codec, anchor in published.items():
        yield f"against {codec}, published: {describe_delta(anchor, test)}"


def describe_delta(anchor: Curve, test: Curve) -> str:
    """Both deltas and the range of the first, or why there are none."""
    try:
        low_db, high_db = common_range_db(anchor, test)
        return (
            f"{bd_rate_percent(anchor, test):+.2f} %, {bd_psnr_db(anchor, test):+.3f} dB, "
            f"over {low_db:.2f} to {high_db:.2f} dB"
        )
    except ValueError as error:
        return f"no delta, {error}"


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m cdsrcodec.evaluation.native", description=__doc__
    )
    parser.add_argument("images", type=Path, help="folder of pictures")
    parser.add_argument("-o", "--output", type=Path, required=True, help="TSV, a row a measurement")
    parser.add_argument(
        "--qualities", type=float, nargs="+", default=[float(q) for q in range(1, 9)]
    )
    parser.add_argument("--effort", type=int, choices=range(10), default=0, help="of cdsr1")
    parser.add_argument("--anchors", nargs="*", choices=sorted(ANCHORS), default=["webp"])
    parser.add_argument("--published", type=Path, help="JSON of curves of the same pictures")
    args = parser.parse_args(argv)
    try:
        args.published = load_published(args.published) if args.published else {}
    except (OSError, ValueError) as error:
        parser.error(f"argument --published: {error}")
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """Run the sweep that the arguments ask for; returns the exit code."""
    args = _parse(argv)
    ladders = {CODEC: Ladder(partial(code_cdsr1, effort=args.effort), tuple(args.qualities))}
    ladders |= {name: ANCHORS[name] for name in args.anchors}

    def run() -> None:
        rows = run_sweep(args.images, args.output, partial(measure_picture, ladders=ladders))
        sys.stdout.writelines(f"{line}\n" for line in summarise(rows, args.published))

    return exit_code(run)


if __name__ == "__main__":
    sys.exit(main())
