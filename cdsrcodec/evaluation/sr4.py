"""Four times larger: `--sr 4` of a file beside Lanczos of the same file's native picture.

python -m cdsrcodec.evaluation.sr4 IMAGES_DIR -o OUT.tsv --qualities 1 3 5 7
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cdsrcodec import api
from cdsrcodec.evaluation.metrics import ms_ssim_rgb, psnr_rgb_db, psnr_y_db
from cdsrcodec.evaluation.sweep import exit_code, run_sweep
from cdsrcodec.imageio.resampling import downscale

UPSCALE: Final = 4
METHODS = ("latent", "lanczos")  # the second one is what a user without `latent` would do
METRICS = ("psnr_rgb_db", "psnr_y_db", "ms_ssim")


@dataclass(frozen=True)
class EnlargementRow:
    """One picture, quality and way to enlarge.

    Sizes are those of the coded LR picture, and so is the rate; the metrics compare
    with the HR original, the two PSNR without a border of 4 px, MS-SSIM with it.
    """

    image: str
    quality: float
    method: str
    width_px: int
    height_px: int
    stream_bytes: int
    bpp: float
    psnr_rgb_db: float
    psnr_y_db: float
    ms_ssim: float


def crop_to_multiple(x: NDArray[np.uint8], multiple: int) -> NDArray[np.uint8]:
    """Cut x (H, W, 3) at the right and bottom until both sides divide by `multiple`."""
    height_px, width_px = (side - side % multiple for side in x.shape[:2])
    return x[:height_px, :width_px]


def measure_picture(
    image: str, x: NDArray[np.uint8], qualities: Sequence[float]
) -> Iterator[EnlargementRow]:
    """The rows of one picture x (H, W, 3): its quarter is coded once a quality."""
    hr = crop_to_multiple(x, UPSCALE)
    lr = downscale(hr, UPSCALE)
    height_px, width_px = lr.shape[:2]
    for quality in qualities:
        stream = api.encode(lr, quality=quality)
        for method in METHODS:
            x_sr = np.asarray(api.decode(stream, sr=UPSCALE, upscaler=method))
            yield EnlargementRow(
                image=image,
                quality=quality,
                method=method,
                width_px=width_px,
                height_px=height_px,
                stream_bytes=len(stream),
                bpp=8 * len(stream) / (width_px * height_px),
                psnr_rgb_db=psnr_rgb_db(hr, x_sr, shave_px=UPSCALE),
                psnr_y_db=psnr_y_db(hr, x_sr, shave_px=UPSCALE),
                ms_ssim=ms_ssim_rgb(hr, x_sr),
            )


def summarise(rows: Sequence[EnlargementRow]) -> Iterator[str]:
    """Lines of the report: means over the pictures, and the gain of latent over Lanczos."""
    yield "quality\tmethod\tbpp\t" + "\t".join(METRICS)
    for quality in sorted({row.quality for row in rows}):
        means = {}
        for method in METHODS:
            group = [r for r in rows if (r.quality, r.method) == (quality, method)]
            bpp = fmean(r.bpp for r in group)
            means[method] = [fmean(getattr(r, metric) for r in group) for metric in METRICS]
            yield f"{quality:g}\t{method}\t{bpp:.4f}\t" + "\t".join(
                f"{m:.4f}" for m in means[method]
            )
        gains = np.subtract(means["latent"], means["lanczos"])
        yield f"{quality:g}\tgain\t\t" + "\t".join(f"{gain:+.4f}" for gain in gains)


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m cdsrcodec.evaluation.sr4", description=__doc__)
    parser.add_argument("images", type=Path, help="folder of HR pictures")
    parser.add_argument("-o", "--output", type=Path, required=True, help="TSV, a row a measurement")
    parser.add_argument("--qualities", type=float, nargs="+", default=[1.0, 3.0, 5.0, 7.0])
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the sweep that the arguments ask for; returns the exit code."""
    args = _parse(argv)

    def run() -> None:
        measure = partial(measure_picture, qualities=args.qualities)
        rows = run_sweep(args.images, args.output, measure)
        sys.stdout.writelines(f"{line}\n" for line in summarise(rows))

    return exit_code(run)


if __name__ == "__main__":
    sys.exit(main())
