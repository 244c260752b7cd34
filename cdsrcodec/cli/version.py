"""cdsrcodec --version: one line, and with -v everything that a bug report should hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

import cdsrcodec
from cdsrcodec.errors import CdsrError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cdsrcodec.models.registry import CodecEntry

_VERBOSE_KEY = "cdsrcodec.version.verbose"
_LIBRARIES = ("torch", "numpy", "pillow", "constriction", "safetensors")


def _remember(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    ctx.meta[_VERBOSE_KEY] = value


def _print_version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    verbose = ctx.meta[_VERBOSE_KEY]
    if not value:
        if verbose:
            raise click.UsageError("-v goes with --version here, or after the command")
        return
    click.echo(f"cdsrcodec {cdsrcodec.__version__}")
    if verbose:
        for name, text in _details():
            click.echo(f"{name:<14}{text}")
    ctx.exit()


# Eager, so that --version, which is not, finds its value in whatever order they stand.
verbose_option = click.option(
    "-v",
    "--verbose",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_remember,
    help="With --version: libraries, devices and models too.",
)
version_option = click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version and exit.",
)


def _details() -> Iterator[tuple[str, str]]:
    """What the results of a run can depend on, a line each."""
    import platform
    from importlib.metadata import version

    import torch

    from cdsrcodec.sr.registry import UPSCALERS

    yield "python", f"{platform.python_version()}, {platform.platform()}"
    for library in _LIBRARIES:
        yield library, version(library)
    cpu_flags = torch.backends.cpu.get_cpu_capability()
    yield "cpu", f"{platform.machine()}, {cpu_flags}, {torch.get_num_threads()} threads"
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            yield f"cuda:{index}", f"{torch.cuda.get_device_name(index)}, CUDA {torch.version.cuda}"
    else:
        yield "cuda", "no device"
    yield from _codecs()
    for upscaler in UPSCALERS:
        if upscaler.codec is not None and upscaler.is_available:
            yield "upscaler", f"{upscaler.name} of {upscaler.codec}"


def _codecs() -> Iterator[tuple[str, str]]:
    """A line for each codec, with what is wrong if it cannot be read: a bug may be about that."""
    from cdsrcodec.models.registry import installed, shipped

    for find in (shipped, installed):
        try:
            entries = find()
        except CdsrError as error:
            yield "codec", str(error)
            continue
        for entry in entries:
            yield "codec", f"{entry.name}, model {entry.model_id}, {_tag(entry)}"


def _tag(entry: CodecEntry) -> str:
    try:
        return f"tag {entry.entropy_tag().hex()}"
    except CdsrError as error:
        return str(error)
