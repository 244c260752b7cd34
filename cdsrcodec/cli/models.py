"""cdsrcodec models: the weights that are here, and how others come here."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from cdsrcodec import api
from cdsrcodec.cli import options
from cdsrcodec.cli.failures import debug_option
from cdsrcodec.models.registry import BMSHJ2018_HYPERPRIOR, CODECS

_INSTALLABLE = [codec.name for codec in CODECS.values() if codec.folder is None]
_QUALITIES = [int(quality) for quality in CODECS[BMSHJ2018_HYPERPRIOR].qualities]

json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object a model.")


@click.group()
def models() -> None:
    """Show, fetch, import and remove the weights of codecs."""


@models.command("list")
@json_option
@debug_option
def list_models(as_json: bool) -> None:
    """List the models that are here: those of the package and the installed ones."""
    found = api.list_models()
    width = max(len(model.name) for model in found)
    for model in found:
        line = f"{model.name:<{width}}  {_summary(model)}"
        click.echo(_to_json(model) if as_json else line)


@models.command()
@click.argument("name")
@json_option
@debug_option
def show(name: str, as_json: bool) -> None:
    """Show all about the model NAME."""
    model = api.show_model(name)
    if as_json:
        click.echo(_to_json(model))
        return
    for key, value in dataclasses.asdict(model).items():
        if value is not None:
            click.echo(f"{key:<18}{value}")


@models.command("import")
@click.argument("file", type=options.FILE)
@click.option(
    "--codec", type=click.Choice(_INSTALLABLE), required=True, help="What the weights are of."
)
@click.option(
    "-q", "--quality", type=click.IntRange(_QUALITIES[0], _QUALITIES[-1]), required=True,
    help="What they were trained for.",
)  # fmt: skip
@options.metric_option
@json_option
@debug_option
def import_model(file: Path, codec: str, quality: int, metric: str, as_json: bool) -> None:
    """Install the weights of FILE, a checkpoint of CompressAI's (.pth.tar or .safetensors)."""
    _tell(api.import_model(file, codec=codec, quality=quality, metric=metric), as_json)


@models.command()
@click.argument("codec", metavar="CODEC", type=click.Choice(_INSTALLABLE))
@click.option(
    "-q", "--quality", "qualities", type=click.IntRange(_QUALITIES[0], _QUALITIES[-1]),
    multiple=True, help="One of them; repeat for others.  [default: all]",
)  # fmt: skip
@options.metric_option
@json_option
@debug_option
def pull(codec: str, qualities: tuple[int, ...], metric: str, as_json: bool) -> None:
    """Download the weights of CODEC that CompressAI publishes, and install them.

    What is installed is not downloaded again, and what was broken off goes on. The environment
    variable CDSRCODEC_ZOO_URL names another server.
    """
    for quality in sorted(set(qualities)) or _QUALITIES:
        with _download_bar(f"{codec} {quality} {metric}") as on_progress:
            model = api.pull_model(quality, metric=metric, on_progress=on_progress)
        _tell(model, as_json)


@models.command()
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@debug_option
def remove(names: tuple[str, ...]) -> None:
    """Remove installed models. Files that were written with them can then not be read."""
    for name in names:
        api.remove_model(name)
        click.echo(f"{name}: removed", err=True)


@models.command()
@debug_option
def path() -> None:
    """Print the folder of the installed models."""
    click.echo(api.models_folder())


def _tell(model: api.ModelInfo, as_json: bool) -> None:
    if as_json:
        click.echo(_to_json(model))
    else:
        click.echo(f"{model.name}: installed, {_summary(model)}", err=True)


def _summary(model: api.ModelInfo) -> str:
    first, last = (f"{CODECS[model.codec].qualities[at]:g}" for at in (0, -1))
    quality = (
        f"qualities {first} to {last}" if model.quality is None else f"quality {model.quality}"
    )
    return f"{quality}, {model.metric}, {model.size_bytes / 1e6:.1f} MB"


def _to_json(model: api.ModelInfo) -> str:
    return json.dumps(dataclasses.asdict(model))


@contextmanager
def _download_bar(title: str) -> Iterator[Callable[[int, int], None] | None]:
    """Gives what shows the bytes of a download as a bar on stderr; None without a terminal."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_interactive:
        yield None
        return
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (
        TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(),
        TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(title, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
