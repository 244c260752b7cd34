"""Crops of four times larger pictures side by side, one sheet a picture.

    python -m cdsrcodec.evaluation.crops FOLDER -o docs/images/crops --qualities 1 4 8

Each picture of the folder, or the first ones by name, is cut to a multiple of 4, reduced by 4,
coded at each quality (a row of the sheet) and enlarged by each upscaler (a column), beside the
original. Crops are of where the picture has most detail. Upscalers without weights are left out
with a note.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cdsrcodec import api
from cdsrcodec.evaluation.bench.plan import load_picture, missing_enlarger
from cdsrcodec.evaluation.bench.views import cut_out, find_detail
from cdsrcodec.evaluation.metrics import psnr_rgb_db
from cdsrcodec.evaluation.pictures import find_images
from cdsrcodec.evaluation.scripts import exit_code
from cdsrcodec.evaluation.showcase import captioned, in_grid
from cdsrcodec.imageio.folders import make_folder
from cdsrcodec.imageio.resampling import downscale
from cdsrcodec.imageio.writer import write_bytes
from cdsrcodec.sr.registry import UPSCALE, UPSCALER_NAMES

SHOWN = ("lanczos", "edsr", "edsr-b2", "latent", "latent-perceptual")
WEBP_QUALITY = 92


def compose(
    x: NDArray[np.uint8], qualities: Sequence[float], upscalers: Sequence[str], crop_px: int
) -> Image.Image:
    """The sheet of a picture.

    Args:
        x: (H, W, 3), sides divisible by 4: what is reduced, and compared with.
        qualities: 1 to 8, a row each.
        upscalers: a column each, beside the original.
        crop_px: side of what is shown; PSNR in the captions is of the whole picture.

    Raises:
        CdsrError: an upscaler cannot run here.
    """
    corner = find_detail(x, crop_px)
    small = downscale(x, UPSCALE)

    def panel(pixels: NDArray[np.uint8], caption: str) -> Image.Image:
        """The cut-out of a picture, with its caption."""
        return captioned(Image.fromarray(cut_out(pixels, corner, crop_px)), caption)

    rows = []
    for quality in qualities:
        stream = api.encode(small, quality=quality)
        row = [panel(x, f"original; -q {quality:g}: {len(stream)} B")]
        for upscaler in upscalers:
            x_sr = np.asarray(api.decode(stream, sr=UPSCALE, upscaler=upscaler))
            psnr_db = psnr_rgb_db(x, x_sr, shave_px=UPSCALE)
            row.append(panel(x_sr, f"{upscaler}, {psnr_db:.2f} dB"))
        rows.append(row)
    return in_grid(rows)


def available(names: Sequence[str]) -> list[str]:
    """Those of the upscalers that can run here; the others are told on stderr."""
    kept = []
    for name in names:
        if reason := missing_enlarger(name, None):
            sys.stderr.write(f"{name}: left out, {reason}\n")
        else:
            kept.append(name)
    return kept


def _webp(sheet: Image.Image) -> bytes:
    file = io.BytesIO()
    sheet.save(file, "WEBP", quality=WEBP_QUALITY, method=6)
    return file.getvalue()


def _quality(text: str) -> float:
    quality = float(text)
    if not 1 <= quality <= 8:
        raise argparse.ArgumentTypeError(f"{text} is not 1 to 8")
    return quality


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not positive")
    return number


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m cdsrcodec.evaluation.crops", description=__doc__
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of the sheets")
    parser.add_argument("--qualities", type=_quality, nargs="+", default=[1.0, 4.0, 8.0])
    parser.add_argument("--upscalers", nargs="+", choices=UPSCALER_NAMES, default=SHOWN)
    parser.add_argument("--crop", type=_positive, default=192, help="side in pixels")
    parser.add_argument("--count", type=_positive, default=5, help="of pictures, the first by name")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Write a WebP sheet for each picture; returns the exit code."""
    args = _parse(argv)

    def run() -> None:
        """Write a sheet for each picture."""
        upscalers = available(args.upscalers)
        make_folder(args.output)
        for path in find_images(args.folder)[: args.count]:
            sheet = compose(load_picture(path, "sr4"), args.qualities, upscalers, args.crop)
            data = _webp(sheet)
            target = args.output / f"{path.stem}.webp"
            write_bytes(data, target)
            sys.stdout.write(f"{target}: {len(data)} bytes\n")

    return exit_code(run)


if __name__ == "__main__":
    sys.exit(main())
