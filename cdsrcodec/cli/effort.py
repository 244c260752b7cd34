"""The option --effort, and its progress on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

# Of codec.refinement, which this module must not import: it would import torch.
MAX_EFFORT = 9

effort_option = click.option(
    "--effort",
    type=click.IntRange(0, MAX_EFFORT),
    default=0,
    show_default=True,
    help="More makes a better file and takes longer.",
)


@contextmanager
def effort_display(effort: int) -> Iterator[Callable[[int, int], None] | None]:
    """Gives what shows the steps of a refinement as a bar on stderr; None where nothing does.

    The bar is there on a terminal only, and gone in the end.
    """
    from rich.console import Console

    console = Console(stderr=True)
    if effort == 0 or not console.is_terminal:
        yield None
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("refining"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("refining", total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
