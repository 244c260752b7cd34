"""cdsrcodec decode: .cdsr files to pictures, at native size or four times larger."""

from __future__ import annotations

from functools import partial
from typing import Literal

import click

import cdsrcodec
from cdsrcodec.cli import batch, options
from cdsrcodec.cli.batch_options import Settings, shared_options
from cdsrcodec.cli.failures import debug_option
from cdsrcodec.cli.pictures import PictureSettings, picture_options, write_pictures
from cdsrcodec.cli.plan import STREAMS


@click.command()
@click.argument("names", metavar=batch.METAVAR, nargs=-1, type=options.NAME)
@click.option(
    "--sr",
    type=click.Choice([1, 4]),
    default=1,
    show_default=True,
    help="1: native size; 4: four times the width and height, from the latent.",
)
@options.upscaler_option
@picture_options
@shared_options
@debug_option
def decode(
    names: tuple[str, ...],
    sr: Literal[1, 4],
    upscaler: str | None,
    settings: Settings,
    pictures: PictureSettings,
) -> None:
    """Decode IN (.cdsr) to the picture OUT, or each IN to a picture in DIR.

    The extension of OUT chooses the format: .png .jpg .webp .avif .tif .bmp
    .jp2 .ppm .qoi or .tga. As IN or OUT, - is standard input or output.
    """
    write_pictures(
        partial(cdsrcodec.decode_file, sr=sr),
        names,
        settings,
        pictures,
        upscaler=upscaler,
        is_enlarged=sr != 1,
        doing="decoding",
        done="decoded",
        kind=STREAMS,
    )
