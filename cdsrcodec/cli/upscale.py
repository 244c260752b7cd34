"""cdsrcodec upscale: pictures four times larger, without coding them."""

from __future__ import annotations

import click

import cdsrcodec
from cdsrcodec.cli import batch, options
from cdsrcodec.cli.batch_options import Settings, shared_options
from cdsrcodec.cli.failures import debug_option
from cdsrcodec.cli.pictures import PictureSettings, picture_options, write_pictures
from cdsrcodec.cli.plan import PICTURES


@click.command()
@click.argument("names", metavar=batch.METAVAR, nargs=-1, type=options.NAME)
@options.pixel_upscaler_option
@picture_options
@shared_options
@debug_option
def upscale(
    names: tuple[str, ...],
    upscaler: str,
    settings: Settings,
    pictures: PictureSettings,
) -> None:
    """Enlarge the picture IN four times each way to OUT, or each IN to a picture in DIR.

    For comparison with decode --sr 4: the same upscalers on a picture that was
    not coded. Formats and - as of decode.
    """
    write_pictures(
        cdsrcodec.upscale_file,
        names,
        settings,
        pictures,
        upscaler=upscaler,
        is_enlarged=True,
        doing="enlarging",
        done="enlarged",
        kind=PICTURES,
    )
