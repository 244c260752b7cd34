"""cdsrcodec decode: a .cdsr file to a picture, at native size or four times larger."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

import cdsrcodec
from cdsrcodec.cli import options


@click.command()
@click.argument("source", metavar="IN", type=options.FILE)
@click.argument("target", metavar="OUT", type=options.FILE)
@click.option(
    "--sr",
    type=click.Choice([1, 4]),
    default=1,
    show_default=True,
    help="1: native size; 4: four times the width and height, from the latent.",
)
@click.option(
    "--upscaler",
    type=click.Choice(options.UPSCALERS),
    default=options.UPSCALERS[0],
    show_default=True,
    help="What makes the picture of --sr 4.",
)
@options.device_option
@options.overwrite_option
@options.verbose_option
@options.debug_option
def decode(
    source: Path,
    target: Path,
    sr: Literal[1, 4],
    upscaler: str,
    device: str,
    overwrite: bool,
    verbose: bool,
) -> None:
    """Decode IN (.cdsr) to the picture OUT.

    The extension of OUT chooses the format: .png .jpg .webp .avif .tif .bmp
    .jp2 .ppm .qoi or .tga.
    """
    report = cdsrcodec.decode_file(
        source, target, sr=sr, upscaler=upscaler, device=device, overwrite=overwrite
    )
    if verbose:
        options.print_device(device, report.device)
    options.print_warnings(source, report.warnings)
    click.echo(
        f"{target}: {report.width_px}x{report.height_px} px, {report.elapsed_s:.2f} s", err=True
    )
