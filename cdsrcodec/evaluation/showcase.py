"""The README's picture: a crop of the sample, native pixels beside `--sr 4`.

python -m cdsrcodec.evaluation.showcase sample_images/cat.png docs/images/sample.png
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw

from cdsrcodec import api
from cdsrcodec.container import Limits
from cdsrcodec.evaluation.scripts import exit_code
from cdsrcodec.imageio.reader import read_rgb
from cdsrcodec.imageio.writer import write_bytes
from cdsrcodec.sr.registry import UPSCALE

CROP_PX = (100, 45, 240, 165)  # left, top, right, bottom in the native picture
CAPTION_PX = 24
GAP_PX = 8


def captioned(picture: Image.Image, caption: str) -> Image.Image:
    """The picture with a line of text above it."""
    panel = Image.new("RGB", (picture.width, picture.height + CAPTION_PX), "white")
    panel.paste(picture, (0, CAPTION_PX))
    ImageDraw.Draw(panel).text((2, 4), caption, fill="black", font_size=14)
    return panel


def in_grid(rows: Sequence[Sequence[Image.Image]]) -> Image.Image:
    """Panels of one size in rows of one length, on white."""
    width_px, height_px = (side + GAP_PX for side in rows[0][0].size)
    size = (len(rows[0]) * width_px - GAP_PX, len(rows) * height_px - GAP_PX)
    sheet = Image.new("RGB", size, "white")
    for number, row in enumerate(rows):
        for column, panel in enumerate(row):
            sheet.paste(panel, (column * width_px, number * height_px))
    return sheet


def compose(
    picture: Image.Image, quality: float, crop_px: tuple[int, int, int, int]
) -> Image.Image:
    """Three panels of one crop: the original, native decoding, `--sr 4`.

    Args:
        picture: the original, RGB; it is coded whole.
        quality: 1 to 8.
        crop_px: what is shown. The native pictures are enlarged by repeating pixels.

    Returns:
        The panels side by side, each four times as large as the crop.
    """
    data = api.encode(picture, quality=quality)
    left_px, top_px, right_px, bottom_px = (UPSCALE * side for side in crop_px)
    size = (right_px - left_px, bottom_px - top_px)
    bytes_text = f"{len(data)} bytes"
    native = [
        image.crop(crop_px).resize(size, Image.Resampling.NEAREST)
        for image in (picture, api.decode(data))
    ]
    large = api.decode(data, sr=UPSCALE).crop((left_px, top_px, right_px, bottom_px))
    panels = [
        captioned(native[0], f"original, {picture.width}x{picture.height}"),
        captioned(native[1], f"decode, quality {quality:g}, {bytes_text}"),
        captioned(large, f"decode --sr 4 of the same {bytes_text}"),
    ]
    return in_grid([panels])


def main(argv: Sequence[str] | None = None) -> int:
    """Write the sheet of a picture; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m cdsrcodec.evaluation.showcase", description=__doc__
    )
    parser.add_argument("picture", type=Path)
    parser.add_argument("output", type=Path, help="a PNG")
    parser.add_argument("--quality", type=float, default=5.0)
    parser.add_argument("--crop", type=int, nargs=4, default=CROP_PX, metavar="PX")
    args = parser.parse_args(argv)

    def run() -> None:
        """Write the sheet."""
        picture = Image.fromarray(read_rgb(args.picture, max_pixels=Limits().max_pixels))
        file = io.BytesIO()
        compose(picture, args.quality, tuple(args.crop)).save(file, "PNG", optimize=True)
        write_bytes(file.getvalue(), args.output)

    return exit_code(run)


if __name__ == "__main__":
    sys.exit(main())
