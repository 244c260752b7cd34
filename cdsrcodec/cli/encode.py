"""cdsrcodec encode: a picture to a .cdsr file."""

from __future__ import annotations

from pathlib import Path

import click

import cdsrcodec
from cdsrcodec.cli import options


@click.command()
@click.argument("source", metavar="IN", type=options.FILE)
@click.argument("target", metavar="OUT", type=options.FILE)
@options.quality_option
@click.option("--psnr", "measure_psnr", is_flag=True, help="Decode OUT and measure its PSNR (RGB).")
@options.strip_option
@options.device_option
@options.overwrite_option
@options.verbose_option
@options.debug_option
def encode(
    source: Path,
    target: Path,
    quality: float,
    measure_psnr: bool,
    strip: frozenset[str],
    device: str,
    overwrite: bool,
    verbose: bool,
) -> None:
    """Encode the picture IN to OUT (.cdsr).

    IN is any picture that Pillow reads: it is taken upright, as 8-bit sRGB. Alpha is
    coded losslessly; EXIF, XMP, ICC profile and resolution are kept.
    """
    report = cdsrcodec.encode_file(
        source,
        target,
        quality=quality,
        device=device,
        overwrite=overwrite,
        measure_psnr=measure_psnr,
        strip=strip,
    )
    if verbose:
        options.print_device(device, report.device)
    options.print_warnings(source, report.warnings)
    psnr = "" if report.psnr_rgb_db is None else f"PSNR {report.psnr_rgb_db:.2f} dB, "
    click.echo(
        f"{target}: {report.width_px}x{report.height_px} px, {report.stream_bytes} bytes, "
        f"{report.bpp:.3f} bpp, {psnr}{report.elapsed_s:.2f} s",
        err=True,
    )
