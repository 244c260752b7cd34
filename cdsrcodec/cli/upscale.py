"""cdsrcodec upscale: pictures four times larger, without coding them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import cdsrcodec
from cdsrcodec.cli import batch, options
from cdsrcodec.cli.batch_options import Settings, shared_options
from cdsrcodec.cli.failures import debug_option
from cdsrcodec.cli.pictures import PictureSettings, picture_options, write_pictures
from cdsrcodec.cli.plan import ENLARGEABLE
from cdsrcodec.errors import OutputExistsError
from cdsrcodec.sr.registry import UPSCALE

if TYPE_CHECKING:
    from cdsrcodec import DecodeReport


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
    replaces_one = settings.overwrite and settings.folder is None
    write_pictures(
        _upscale_anew if replaces_one else cdsrcodec.upscale_file,
        names,
        settings,
        pictures,
        upscaler=upscaler,
        is_enlarged=True,
        doing="enlarging",
        done="enlarged",
        kind=ENLARGEABLE,
        reads_target=replaces_one,
    )


def _upscale_anew(
    source: Path,
    target: Path,
    **settings: Any,  # noqa: ANN401 - those of upscale_file
) -> DecodeReport:
    """`upscale_file` in the place of nothing but an earlier result."""
    _check_replaced(source, target)
    return cdsrcodec.upscale_file(source, target, **settings)


def _check_replaced(source: Path, target: Path) -> None:
    """Refuse to replace another picture: `-f *.png` may have named two photographs.

    An earlier result has four times the sides, in either order if the source lies on its side.

    Raises:
        OutputExistsError: the target is a picture of another size.
    """
    from cdsrcodec.imageio.reader import size_of

    small_px, large_px = size_of(source), size_of(target)
    if small_px is None or large_px is None or target.samefile(source):
        return  # of which upscale_file says what there is to be said
    if sorted(large_px) != sorted(UPSCALE * side_px for side_px in small_px):
        width_px, height_px = large_px
        raise OutputExistsError(
            f"{target}: another picture, of {width_px}x{height_px} px, not an enlarged {source}. "
            "hint: many pictures need -o DIR; to replace this one, remove it first"
        )
