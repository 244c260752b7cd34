"""cdsrcodec decode: .cdsr files to pictures, at native size or four times larger."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

import cdsrcodec
from cdsrcodec.cli import batch, options
from cdsrcodec.cli.pipes import PIPE
from cdsrcodec.cli.plan import STREAM_SUFFIXES

if TYPE_CHECKING:
    from cdsrcodec import DecodeReport


@click.command()
@click.argument("paths", metavar=batch.METAVAR, nargs=-1, type=options.FILE)
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
@click.option(
    "--format",
    "format_name",
    type=click.Choice(options.PICTURE_FORMATS),
    help="Of the pictures in DIR, or of the one that goes to -.  [default: png]",
)
@options.device_option
@options.max_pixels_option
@batch.shared_options
@options.debug_option
@click.pass_context
def decode(
    ctx: click.Context,
    paths: tuple[Path, ...],
    sr: Literal[1, 4],
    upscaler: str,
    format_name: str | None,
    device: str,
    max_pixels: int,
    settings: batch.Settings,
) -> None:
    """Decode IN (.cdsr) to the picture OUT, or each IN to a picture in DIR.

    The extension of OUT chooses the format: .png .jpg .webp .avif .tif .bmp
    .jp2 .ppm .qoi or .tga. As IN or OUT, - is standard input or output.
    """
    _check_format(format_name, paths, settings)
    conversion = batch.Conversion(
        partial(
            cdsrcodec.decode_file,
            sr=sr,
            upscaler=upscaler,
            device=device,
            overwrite=settings.overwrite,
            max_pixels=max_pixels,
            keep_attributes=settings.folder is not None,
        ),
        _describe,
        "decoded",
        device,
        STREAM_SUFFIXES,
        format_name or options.PICTURE_FORMATS[0],
    )
    ctx.exit(batch.run(conversion, paths, settings))


def _check_format(
    format_name: str | None, paths: tuple[Path, ...], settings: batch.Settings
) -> None:
    """Refuse two words about the format, and a template that can name no picture."""
    if settings.template is not None:
        from cdsrcodec.imageio.writer import output_format

        output_format(Path(settings.template))
    names_format = settings.template is not None or (
        settings.folder is None and paths[-1:] != (PIPE,)
    )
    if format_name is not None and names_format:
        raise click.UsageError("--format contradicts a name. hint: its extension is the format")


def _describe(report: DecodeReport) -> str:
    return f"{report.width_px}x{report.height_px} px, {report.elapsed_s:.2f} s"
