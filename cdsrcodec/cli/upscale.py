"""cdsrcodec upscale: pictures four times larger, without coding them."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

import cdsrcodec
from cdsrcodec.cli import batch, formats, options
from cdsrcodec.cli.places import Place
from cdsrcodec.cli.plan import PICTURE_SUFFIXES


@click.command()
@click.argument("paths", metavar=batch.METAVAR, nargs=-1, type=options.PLACE)
@options.pixel_upscaler_option
@options.weights_option
@formats.format_option
@options.device_option
@options.max_pixels_option
@batch.shared_options
@options.debug_option
@click.pass_context
def upscale(
    ctx: click.Context,
    paths: tuple[Place, ...],
    upscaler: str,
    upscaler_weights: Path | None,
    format_name: str | None,
    device: str,
    max_pixels: int,
    settings: batch.Settings,
) -> None:
    """Enlarge the picture IN four times each way to OUT, or each IN to a picture in DIR.

    For comparison with decode --sr 4: the same upscalers on a picture that was
    not coded. Formats and - as of decode.
    """
    if upscaler_weights is not None and upscaler != "esrgan":
        raise click.UsageError("--weights belongs to --upscaler esrgan")
    formats.check_format(format_name, paths, settings)
    conversion = batch.Conversion(
        partial(
            cdsrcodec.upscale_file,
            upscaler=upscaler,
            upscaler_weights=upscaler_weights,
            device=device,
            overwrite=settings.overwrite,
            max_pixels=max_pixels,
            keep_attributes=settings.folder is not None,
        ),
        formats.describe,
        "enlarged",
        device,
        PICTURE_SUFFIXES,
        format_name or formats.DEFAULT,
    )
    ctx.exit(batch.run(conversion, paths, settings))
