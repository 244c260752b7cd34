"""cdsrcodec decode: .cdsr files to pictures, at native size or four times larger."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Literal

import click

import cdsrcodec
from cdsrcodec.cli import batch, formats, options
from cdsrcodec.cli.places import Place
from cdsrcodec.cli.plan import STREAM_SUFFIXES
from cdsrcodec.cli.steps import steps_display


@click.command()
@click.argument("paths", metavar=batch.METAVAR, nargs=-1, type=options.PLACE)
@click.option(
    "--sr",
    type=click.Choice([1, 4]),
    default=1,
    show_default=True,
    help="1: native size; 4: four times the width and height, from the latent.",
)
@options.upscaler_option
@options.weights_option
@formats.format_option
@options.device_option
@options.precision_option
@options.max_memory_option
@options.max_pixels_option
@batch.shared_options
@options.debug_option
@click.pass_context
def decode(
    ctx: click.Context,
    paths: tuple[Place, ...],
    sr: Literal[1, 4],
    upscaler: str,
    upscaler_weights: Path | None,
    format_name: str | None,
    device: str,
    precision: str | None,
    max_memory_bytes: int | None,
    max_pixels: int,
    settings: batch.Settings,
) -> None:
    """Decode IN (.cdsr) to the picture OUT, or each IN to a picture in DIR.

    The extension of OUT chooses the format: .png .jpg .webp .avif .tif .bmp
    .jp2 .ppm .qoi or .tga. As IN or OUT, - is standard input or output.
    """
    options.check_weights(upscaler_weights, upscaler, is_used=sr != 1)
    options.check_precision(precision, upscaler, is_used=sr != 1)
    formats.check_format(format_name, paths, settings)
    conversion = batch.Conversion(
        partial(
            cdsrcodec.decode_file,
            sr=sr,
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
        "decoded",
        device,
        STREAM_SUFFIXES,
        format_name or formats.DEFAULT,
    )
    with steps_display("decoding", is_shown=batch.shows_steps(settings)) as on_step:
        ctx.exit(batch.run(batch.with_steps(conversion, on_step), paths, settings))
