"""cdsrcodec encode: pictures to .cdsr files."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

import cdsrcodec
from cdsrcodec.cli import batch, options
from cdsrcodec.cli.plan import PICTURE_SUFFIXES

if TYPE_CHECKING:
    from cdsrcodec import EncodeReport


@click.command()
@click.argument("paths", metavar=batch.METAVAR, nargs=-1, type=options.FILE)
@options.quality_option
@click.option("--psnr", "measure_psnr", is_flag=True, help="Decode OUT and measure its PSNR (RGB).")
@options.device_option
@options.max_pixels_option
@batch.shared_options
@options.debug_option
@click.pass_context
def encode(
    ctx: click.Context,
    paths: tuple[Path, ...],
    quality: float,
    measure_psnr: bool,
    device: str,
    max_pixels: int,
    settings: batch.Settings,
) -> None:
    """Encode the picture IN to OUT (.cdsr), or each IN to a file in DIR.

    IN is any picture that Pillow reads: it is taken upright, as 8-bit sRGB.
    As IN or OUT, - is standard input or output.
    """
    conversion = batch.Conversion(
        partial(
            cdsrcodec.encode_file,
            quality=quality,
            device=device,
            overwrite=settings.overwrite,
            measure_psnr=measure_psnr,
            max_pixels=max_pixels,
            keep_attributes=settings.folder is not None,
        ),
        _describe,
        "encoded",
        device,
        PICTURE_SUFFIXES,
        "cdsr",
    )
    ctx.exit(batch.run(conversion, paths, settings))


def _describe(report: EncodeReport) -> str:
    psnr = "" if report.psnr_rgb_db is None else f"PSNR {report.psnr_rgb_db:.2f} dB, "
    return (
        f"{report.width_px}x{report.height_px} px, {report.stream_bytes} bytes, "
        f"{report.bpp:.3f} bpp, {psnr}{report.elapsed_s:.2f} s"
    )
