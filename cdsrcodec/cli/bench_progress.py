"""How far a benchmark is: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from cdsrcodec.evaluation.bench.running import Progress

PLAIN_LINE_S = 20  # between lines where there is no terminal


@contextmanager
def progress_display() -> Iterator[Callable[[Progress], None]]:
    """Gives what shows the progress on stderr, with the time left."""
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    last_s = begin_s = time.monotonic()
    begin_cost: float | None = None
    with Bar(
        TextColumn("{task.fields[units]}"),
        BarColumn(),
        TextColumn("{task.percentage:5.1f} %"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_interactive,
    ) as bar:
        task = bar.add_task("bench", total=None, units="reading the pictures")

        def on_progress(progress: Progress) -> None:
            """Move the bar, and the estimate of the time left."""
            nonlocal last_s, begin_s, begin_cost
            units = f"{progress.units_done}/{progress.units}"
            bar.update(task, total=progress.cost, completed=progress.cost_done, units=units)
            now_s = time.monotonic()
            if begin_cost is None:
                begin_cost, begin_s = progress.cost_done, now_s
            ended = progress.units_done == progress.units
            if not console.is_interactive and (now_s - last_s > PLAIN_LINE_S or ended):
                last_s = now_s
                pace = (now_s - begin_s) / max(progress.cost_done - begin_cost, 1.0)
                left_s = pace * (progress.cost - progress.cost_done)
                click.echo(f"{units}, about {left_s:.0f} s left", err=True)

        yield on_progress
