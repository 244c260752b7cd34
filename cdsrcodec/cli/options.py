"""Options and arguments that several commands share."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path

import click

from cdsrcodec.cli.places import FileType, PlaceType
from cdsrcodec.container import Limits
from cdsrcodec.container.header import MAX_QUALITY, MIN_QUALITY
from cdsrcodec.models.registry import CDSR1, CODECS, DEFAULT_METRIC, DEFAULT_QUALITY, METRICS
from cdsrcodec.sr.registry import (
    DEFAULT_UPSCALER,
    INTERPOLATIONS,
    UPSCALERS,
    WEIGHTED_UPSCALERS,
    UpscalerEntry,
    available_names,
)

# Whether it exists and may be read or written is for the API to say: its errors
# have exit codes of their own, Click's would all be wrong usage.
FILE = FileType(readable=False, path_type=Path)
# The text of a name, for `batch.run` to parse: what it may be depends on other options.
NAME = click.Path(readable=False)
# A file or folder that may also be a URL.
PLACE = PlaceType(readable=False, path_type=Path)

# As imageio.writer, which is not imported for --help.
PICTURE_FORMATS = ("png", "webp", "jpg", "avif", "tif", "jp2", "bmp", "ppm", "qoi", "tga")
DEFAULT_PRECISION = "auto"
SIZE_UNITS_BYTES = {
    "": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30
}  # fmt: skip


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


def parse_size(text: str) -> int:
    """A number of bytes with or without a unit: "15000", "20kB", "1.5MiB".

    Raises:
        click.BadParameter: anything else, or less than a byte.
    """
    match = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+) *([a-z]*)", text.strip(), re.IGNORECASE)
    unit_bytes = SIZE_UNITS_BYTES.get(match[2].lower()) if match else None
    if (
        match is None
        or unit_bytes is None
        or (size_bytes := int(Decimal(match[1]) * unit_bytes)) < 1
    ):
        raise click.BadParameter(f"'{text}' is not a size as 15000, 20kB or 1.5MiB")
    return size_bytes


def parse_positive(text: str) -> float:
    """A finite number above 0.

    Raises:
        click.BadParameter: anything else.
    """
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise click.BadParameter(f"'{text}' is not a number above 0")
    return number


quality_option = click.option(
    "-q",
    "--quality",
    type=parse_quality,
    show_default=f"{DEFAULT_QUALITY:g}",
    metavar=f"{MIN_QUALITY:g}..{MAX_QUALITY:g}",
    help="Any real number; a whole one with bmshj2018-hyperprior, at most 6 with "
    "bmshj2018-hyperprior-gain. Higher is larger and closer to the picture.",
)

codec_option = click.option(
    "--codec",
    type=click.Choice(list(CODECS)),
    default=CDSR1,
    show_default=True,
    help="What codes; the weights of bmshj2018-hyperprior are installed with `cdsrcodec models`.",
)

metric_option = click.option(
    "--metric",
    type=click.Choice(METRICS),
    default=DEFAULT_METRIC,
    show_default=True,
    help="What the weights were trained for.",
)

device_option = click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where the networks run; auto is CUDA where there is a device.",
)


class UpscalerChoice(click.Choice[str]):
    """One of the upscalers, of which those that lack a file of this package are not shown.

    They are taken too, since `--weights` may bring it; without that the API says what to do.
    esrgan has no file here; --help is the same whatever else is installed.
    """

    def __init__(self, entries: Iterable[UpscalerEntry]) -> None:
        entries = tuple(entries)
        super().__init__(available_names(entries))
        self.absent = {entry.name for entry in entries} - set(self.choices)

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The name itself."""
        return value if value in self.absent else super().convert(value, param, ctx)


def check_upscaler(upscaler: str | None, *, is_used: bool) -> None:
    """Refuse --upscaler where nothing is enlarged.

    Raises:
        click.UsageError: one is named all the same.
    """
    if upscaler is not None and not is_used:
        raise click.UsageError("--upscaler belongs to --sr 4")


def check_weights(weights: Path | None, upscaler: str | None, *, is_used: bool) -> None:
    """Refuse --weights where nothing would read them; None is the default upscaler.

    Raises:
        click.UsageError: the upscaler takes none, or is not used.
    """
    if weights is not None and not (is_used and upscaler in WEIGHTED_UPSCALERS):
        names = ", ".join(WEIGHTED_UPSCALERS)
        raise click.UsageError(f"--weights belongs to --upscaler {names}, at 4x")


def check_precision(precision: str | None, upscaler: str | None, *, is_used: bool) -> None:
    """Refuse --precision where no network would heed it; None is the default upscaler.

    Raises:
        click.UsageError: the upscaler is no network, or is not used.
    """
    if precision is not None and not (is_used and upscaler not in INTERPOLATIONS):
        raise click.UsageError("--precision belongs to an --upscaler that is a network, at 4x")


upscaler_option = click.option(
    "--upscaler",
    type=UpscalerChoice(UPSCALERS),
    help="What makes the picture of --sr 4: latent, or another one from the native picture.  "
    f"[default: {DEFAULT_UPSCALER}]",
)

pixel_upscaler_option = click.option(
    "--upscaler",
    type=UpscalerChoice(entry for entry in UPSCALERS if entry.codec is None),
    default="lanczos",
    show_default=True,
    help="What enlarges.",
)

weights_option = click.option(
    "--weights",
    "upscaler_weights",
    type=FILE,
    help="Of a network of pixels: of esrgan a .pth or .safetensors file, of another one a file "
    "of cdsrcodec train export. Default: those that came with it.",
)

max_memory_option = click.option(
    "--max-memory",
    "max_memory_bytes",
    metavar="SIZE",
    type=parse_size,
    help="What a process may take, as 900MB or 2GiB: the same picture in smaller tiles.",
)

precision_option = click.option(
    "--precision",
    type=click.Choice(["auto", "fp32", "bf16"]),
    help="Of the network that makes a 4x picture; auto is bf16 on a GPU that has it.  "
    "[default: auto]",
)

overwrite_option = click.option(
    "-f", "--force", "overwrite", is_flag=True, help="Replace OUT if it exists."
)

# Of info and verify; batches have their own.
inspected_folders_option = click.option(
    "-r", "--recursive", is_flag=True, help="Take the .cdsr files in folders too."
)

max_pixels_option = click.option(
    "--max-pixels",
    metavar="N",
    type=click.IntRange(1, Limits.max_pixels),
    default=Limits.max_pixels,
    show_default=True,
    help="Refuse pictures of more pixels, before anything of their size is done.",
)

# As imageio.metadata, which is not imported for --help.
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

verbose_option = click.option(
    "-v", "--verbose", is_flag=True, help="Tell more: the device, skipped files."
)
