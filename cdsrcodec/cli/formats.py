"""The pictures that a command writes: their format where no name says it, and their line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cdsrcodec.cli import options
from cdsrcodec.cli.batch import Settings
from cdsrcodec.cli.places import Place
from cdsrcodec.cli.spooling import PIPE

if TYPE_CHECKING:
    from cdsrcodec import DecodeReport

DEFAULT = options.PICTURE_FORMATS[0]

format_option = click.option(
    "--format",
    "format_name",
    type=click.Choice(options.PICTURE_FORMATS),
    help=f"Of the pictures in DIR, or of the one that goes to -.  [default: {DEFAULT}]",
)


def check_format(format_name: str | None, paths: tuple[Place, ...], settings: Settings) -> None:
    """Refuse two words about the format, and a template that can name no picture.

    Raises:
        click.UsageError: --format beside a name that has an extension.
        InputImageError: no format for the extension of the template.
    """
    if settings.template is not None:
        from cdsrcodec.imageio.writer import output_format

        output_format(Path(settings.template))
    names_format = settings.template is not None or (
        settings.folder is None and paths[-1:] != (PIPE,)
    )
    if format_name is not None and names_format:
        raise click.UsageError("--format contradicts a name. hint: its extension is the format")


def describe(report: DecodeReport) -> str:
    """What is told of a picture that was written."""
    return f"{report.width_px}x{report.height_px} px, {report.elapsed_s:.2f} s"
