"""Options and arguments that several commands share."""

from __future__ import annotations

from pathlib import Path

import click

from cdsrcodec.cli.failures import ask_for_tracebacks
from cdsrcodec.container.header import MAX_QUALITY, MIN_QUALITY

# Whether it exists and may be read or written is for the API to say: its errors
# have exit codes of their own, Click's would all be wrong usage.
FILE = click.Path(readable=False, path_type=Path)

UPSCALERS = ("latent",)


def parse_quality(text: str | float) -> float:
    """A real number in the range of the format; click.FloatRange would let "nan" pass.

    Raises:
        click.BadParameter: anything else.
    """
    try:
        quality = float(text)
    except ValueError:
        quality = float("nan")
    if not MIN_QUALITY <= quality <= MAX_QUALITY:
        bounds = f"{MIN_QUALITY:g} to {MAX_QUALITY:g}"
        raise click.BadParameter(f"'{text}' is not a number from {bounds}")
    return quality


def _debug(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value:
        ask_for_tracebacks(ctx)


quality_option = click.option(
    "-q",
    "--quality",
    type=parse_quality,
    default=4.0,
    show_default=True,
    metavar=f"{MIN_QUALITY:g}..{MAX_QUALITY:g}",
    help="Any real number; higher is larger and closer to the picture.",
)

debug_option = click.option(
    "--debug",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_debug,
    envvar="CDSRCODEC_DEBUG",
    show_envvar=True,
    help="Show the traceback of an error; also after the command.",
)

device_option = click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where the networks run; auto is CUDA where there is a device.",
)

overwrite_option = click.option(
    "-f", "--force", "overwrite", is_flag=True, help="Replace OUT if it exists."
)

STRIPPABLE = ("all", "exif", "xmp", "icc")


def parse_strip(
    _ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]
) -> frozenset[str]:
    """Callback for a list with commas, given any number of times.

    Raises:
        click.BadParameter: a word that is none of STRIPPABLE.
    """
    words = frozenset(word for value in values for word in value.split(","))
    if unknown := words - set(STRIPPABLE):
        raise click.BadParameter(f"'{min(unknown)}' is not one of {', '.join(STRIPPABLE)}")
    return words


strip_option = click.option(
    "--strip",
    multiple=True,
    callback=parse_strip,
    metavar="|".join(STRIPPABLE),
    help="Metadata to leave out; a list with commas, or given several times.",
)

verbose_option = click.option("-v", "--verbose", is_flag=True, help="Say which device was used.")


def print_device(asked: str, used: str) -> None:
    """The line of --verbose, on stderr."""
    fallback = " (auto: no CUDA device found)" if asked == "auto" and used == "cpu" else ""
    click.echo(f"device: {used}{fallback}", err=True)


def print_warnings(file: Path, warnings: tuple[str, ...]) -> None:
    """A line on stderr for each, with the file that it is about."""
    for warning in warnings:
        click.echo(f"warning: {file}: {warning}", err=True)
