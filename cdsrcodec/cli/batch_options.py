"""The options that encode, decode and upscale share: one file or many, and what is told."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, TypeVar

import click

from cdsrcodec.cli import options
from cdsrcodec.cli.places import Place
from cdsrcodec.cli.plan import check_template

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True)
class Settings:
    """Values of `shared_options`, by the names of their parameters."""

    folder: Place | None
    recursive: bool
    template: str | None
    list_file: Path | None
    skip_existing: bool
    fail_fast: bool
    workers: int | None
    threads: int | None
    engine: Literal["local", "ray"]
    ray_address: str | None
    overwrite: bool
    as_json: bool
    quiet: bool
    verbose: bool


_OPTIONS = (
    click.option(
        "-o", "--output", "folder", metavar="DIR", type=options.PLACE,
        help="Folder of the outputs: every argument is an input then. Made if missing.",
    ),
    click.option("-r", "--recursive", is_flag=True, help="With -o: take the files in folders too."),
    click.option(
        "--template", metavar="NAME", type=check_template,
        help="With -o: name of an output, of the fields {stem} {name} {ext} {parent}.",
    ),
    click.option(
        "--files-from", "list_file", metavar="FILE", type=options.FILE,
        help="With -o: read inputs from FILE or -, one a line or NUL-separated.",
    ),
    click.option(
        "--skip-existing", is_flag=True, help="With -o: leave out files whose output exists."
    ),
    click.option("--fail-fast", is_flag=True, help="With -o: stop at the first failure."),
    click.option(
        "-j", "--jobs", "workers", metavar="N", type=click.IntRange(min=1),
        help="With -o: convert N files at a time, in processes.  [default: 1]",
    ),
    click.option(
        "--threads", metavar="N", type=click.IntRange(min=1),
        help="CPU threads, shared by all -j.  [default: one a core]",
    ),
    click.option(
        "--engine", type=click.Choice(["local", "ray"]), default="local", show_default=True,
        help="With -o: what converts, this machine or a Ray cluster.",
    ),
    click.option(
        "--ray-address", metavar="ADDRESS",
        help="Of the cluster, with --engine ray.  [default: one is started here]",
    ),
    click.option("--json", "as_json", is_flag=True, help="One JSON object a file on stdout."),
    click.option("--quiet", is_flag=True, help="Tell nothing but errors."),
)  # fmt: skip


def shared_options(command: Command) -> Command:
    """Add the options of `Settings` to a command, which gets them as `settings`."""

    @functools.wraps(command)
    def with_settings(**values: Any) -> Any:  # noqa: ANN401 - whatever the command takes and gives
        """The command with its batch options gathered in one object."""
        chosen = {field.name: values.pop(field.name) for field in fields(Settings)}
        return command(settings=Settings(**chosen), **values)

    own = (*_OPTIONS, options.overwrite_option, options.verbose_option)
    for option in reversed(own):
        with_settings = option(with_settings)
    return with_settings  # type: ignore[return-value]
