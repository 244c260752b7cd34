"""cdsrcodec encode: a picture to a .cdsr file."""

from __future__ import annotations

from pathlib import Path

import click

import cdsrcodec
from cdsrcodec.cli import options
from cdsrcodec.cli.effort import effort_display, effort_option


@click.command()
@click.argument("source", metavar="IN", type=options.FILE)
@click.argument("target", metavar="OUT", type=options.FILE)
@options.quality_option
@click.option(
    "--target-size", "target_size_bytes", type=options.parse_size, metavar="BYTES",
    help="The highest quality that fits, as 15000, 20kB or 1.5MiB.",
)  # fmt: skip
@click.option(
    "--target-bpp", type=options.parse_positive, metavar="BPP",
    help="The same, in bits per pixel.",
)  # fmt: skip
@click.option(
    "--target-psnr", "target_psnr_db", type=options.parse_positive, metavar="DB",
    help="The smallest file whose picture has at least this PSNR (RGB).",
)  # fmt: skip
@effort_option
@click.option("--psnr", "measure_psnr", is_flag=True, help="Decode OUT and measure its PSNR (RGB).")
@options.device_option
@options.overwrite_option
@options.verbose_option
@options.debug_option
def encode(
    source: Path,
    target: Path,
    quality: float | None,
    target_size_bytes: int | None,
    target_bpp: float | None,
    target_psnr_db: float | None,
    effort: int,
    measure_psnr: bool,
    device: str,
    overwrite: bool,
    verbose: bool,
) -> None:
    """Encode the picture IN to OUT (.cdsr).

    IN is any picture that Pillow reads: it is taken upright, as 8-bit sRGB.
    """
    goals = (quality, target_size_bytes, target_bpp, target_psnr_db)
    if sum(goal is not None for goal in goals) > 1:
        raise click.UsageError("give one of -q, --target-size, --target-bpp and --target-psnr")
    with effort_display(effort) as on_step:
        report = cdsrcodec.encode_file(
            source,
            target,
            quality=quality,
            target_size_bytes=target_size_bytes,
            target_bpp=target_bpp,
            target_psnr_db=target_psnr_db,
            effort=effort,
            device=device,
            overwrite=overwrite,
            measure_psnr=measure_psnr,
            on_step=on_step,
        )
    if verbose:
        options.print_device(device, report.device)
    is_found = any(goal is not None for goal in goals[1:])
    found = f"quality {report.quality:g}, " if is_found else ""
    psnr = "" if report.psnr_rgb_db is None else f"PSNR {report.psnr_rgb_db:.2f} dB, "
    click.echo(
        f"{target}: {report.width_px}x{report.height_px} px, {report.stream_bytes} bytes, "
        f"{report.bpp:.3f} bpp, {found}{psnr}{report.elapsed_s:.2f} s",
        err=True,
    )
