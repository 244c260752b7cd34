"""The progress within one long file: steps of a refinement, or tiles of a picture."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def steps_display(title: str, *, is_shown: bool) -> Iterator[Callable[[int, int], None] | None]:
    """Gives what shows the steps of some work as a bar on stderr; None where nothing does.

    The bar is there on a terminal only, while there is more than one step, and gone in
    the end.
    """
    from rich.console import Console

    console = Console(stderr=True)
    if not is_shown or not console.is_interactive:
        yield None
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn(title), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    progress = Progress(*columns, console=console, transient=True)
    task = progress.add_task(title, total=None)

    def on_step(done: int, total: int) -> None:
        """Move the bar, which appears when there is more than one step."""
        if total > 1:
            progress.start()
        progress.update(task, completed=done, total=total)

    try:
        yield on_step
    finally:
        progress.stop()
