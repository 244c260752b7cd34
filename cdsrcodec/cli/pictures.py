"""What the commands that write pictures share: decode and upscale."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from cdsrcodec.cli import batch, options
from cdsrcodec.cli.batch_options import Settings
from cdsrcodec.cli.plan import Kind
from cdsrcodec.cli.spooling import PIPE
from cdsrcodec.cli.steps import steps_display

if TYPE_CHECKING:
    from cdsrcodec import DecodeReport

Command = TypeVar("Command", bound=Callable[..., Any])
DEFAULT_FORMAT = options.PICTURE_FORMATS[0]

_OPTIONS = (
    options.weights_option,
    click.option(
        "--format", "format_name", type=click.Choice(options.PICTURE_FORMATS),
        help=f"Of the pictures in DIR, or of the one that goes to -.  [default: {DEFAULT_FORMAT}]",
    ),
    options.device_option,
    options.precision_option,
    options.max_memory_option,
    options.max_pixels_option,
)  # fmt: skip


@dataclass(frozen=True)
class PictureSettings:
    """Values of `picture_options`, by the names of their parameters."""

    upscaler_weights: Path | None
    format_name: str | None
    device: str
    precision: str | None
    max_memory_bytes: int | None
    max_pixels: int


def picture_options(command: Command) -> Command:
    """Add the options of `PictureSettings` to a command, which gets them as `pictures`."""

    @functools.wraps(command)
    def with_pictures(**values: Any) -> Any:  # noqa: ANN401 - whatever the command takes and gives
        """The command with its picture options gathered in one object."""
        chosen = {field.name: values.pop(field.name) for field in fields(PictureSettings)}
        return command(pictures=PictureSettings(**chosen), **values)

    for option in reversed(_OPTIONS):
        with_pictures = option(with_pictures)
    return with_pictures  # type: ignore[return-value]


def write_pictures(
    convert: Callable[..., DecodeReport],
    names: tuple[str, ...],
    settings: Settings,
    pictures: PictureSettings,
    *,
    upscaler: str | None,
    is_enlarged: bool,
    doing: str,
    done: str,
    kind: Kind,
    reads_target: bool = False,
) -> NoReturn:
    """Check the options, convert what was named, and end with the exit code.

    Args:
        convert: a function of the API from a file to a picture file.
        names: IN and OUT, or INs.
        settings: of the batch.
        pictures: of the pictures.
        upscaler: what enlarges; None for the default one, or nothing.
        is_enlarged: whether anything is.
        doing: "decoding" or "enlarging".
        done: "decoded" or "enlarged".
        kind: which files are taken from folders.
        reads_target: convert looks at the output that it replaces.

    Raises:
        click.UsageError: options that do not fit together.
        CdsrError: as batch.run.
    """
    options.check_upscaler(upscaler, is_used=is_enlarged)
    options.check_weights(pictures.upscaler_weights, upscaler, is_used=is_enlarged)
    options.check_precision(pictures.precision, upscaler, is_used=is_enlarged)
    check_format(pictures.format_name, names, settings)
    conversion = batch.Conversion(
        functools.partial(
            convert,
            upscaler=upscaler,
            upscaler_weights=pictures.upscaler_weights,
            device=pictures.device,
            precision=pictures.precision or options.DEFAULT_PRECISION,
            max_memory_bytes=pictures.max_memory_bytes,
            overwrite=settings.overwrite,
            max_pixels=pictures.max_pixels,
            keep_attributes=settings.folder is not None,
        ),
        describe,
        done,
        pictures.device,
        kind,
        pictures.format_name or DEFAULT_FORMAT,
        reads_target=reads_target,
    )
    with steps_display(doing, is_shown=batch.shows_steps(settings)) as on_step:
        code = batch.run(batch.with_steps(conversion, on_step), names, settings)
    click.get_current_context().exit(code)


def check_format(format_name: str | None, names: tuple[str, ...], settings: Settings) -> None:
    """Refuse two words about the format, and a template that can name no picture.

    Raises:
        click.UsageError: --format beside a name that has an extension.
        InputImageError: no format for the extension of the template.
    """
    if settings.template is not None:
        from cdsrcodec.imageio.writer import output_format

        output_format(Path(settings.template))
    names_format = settings.template is not None or (
        settings.folder is None and names[-1:] != (str(PIPE),)
    )
    if format_name is not None and names_format:
        raise click.UsageError("--format contradicts a name. hint: its extension is the format")


def describe(report: DecodeReport) -> str:
    """What is told of a picture that was written."""
    return f"{report.width_px}x{report.height_px} px, {report.elapsed_s:.2f} s"
