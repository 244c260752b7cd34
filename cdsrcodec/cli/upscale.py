"""cdsrcodec upscale: pictures four times larger, without coding them."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

import cdsrcodec
from cdsrcodec.cli import batch, formats, options
from cdsrcodec.cli.places import Place
from cdsrcodec.cli.plan import PICTURE_SUFFIXES
from cdsrcodec.cli.steps import steps_display


@click.command()
@click.argument("paths", metavar=batch.METAVAR, nargs=-1, type=options.PLACE)
@options.pixel_upscaler_option
@options.weights_option
@formats.format_option
@options.device_option
@options.precision_option
@options.max_memory_option
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
    precision: str | None,
    max_memory_bytes: int | None,
    max_pixels: int,
    settings: batch.Settings,
) -> None:
    """Enlarge the picture IN four times each way to OUT, or each IN to a picture in DIR.

    For comparison with decode --sr 4: the same upscalers on a picture that was
    not coded. Formats and - as of decode.
    """
    options.check_weights(upscaler_weights, upscaler)
    options.check_precision(precision, upscaler)
    formats.check_format(format_name, paths, settings)
    conversion = batch.Conversion(
        partial(
            cdsrcodec.upscale_file,
            upscaler=upscaler,
            upscaler_weights=upscaler_weights,
            device=device,
            precision=precision or options.DEFAULT_PRECISION,
            max_memory_bytes=max_memory_bytes,
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
    with steps_display("enlarging", is_shown=batch.shows_steps(settings)) as on_step:
        ctx.exit(batch.run(batch.with_steps(conversion, on_step), paths, settings))
