"""What is told about the files of a batch: lines, a progress bar on a terminal, or JSON."""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TextIO

import click

from cdsrcodec.cli import failures
from cdsrcodec.cli.engines.outcomes import Outcome

Say = Callable[[str], None]


@dataclass(frozen=True)
class Style:
    """How to tell results.

    Attributes:
        done: what a file without an error is: "encoded", "decoded" or "enlarged".
        describe: the line about one, after its name, of its report.
        device: the one that was asked for.
        as_json: one JSON object a file on stdout, and on stderr nothing but the bar and what is
            about no file of the batch.
        quiet: nothing but errors; no bar.
        verbose: a line for each file beside the bar too, and for those that were skipped.
    """

    done: str
    describe: Callable[[Any], str]
    device: str
    as_json: bool = False
    quiet: bool = False
    verbose: bool = False


def tell_all(
    outcomes: Iterator[Outcome], total: int, style: Style, warnings: Sequence[str] = ()
) -> int:
    """Tell outcomes as they come, sum up, and give the exit code: that of the first failure.

    Args:
        outcomes: of the files of the batch.
        total: how many there will be.
        style: how to tell them.
        warnings: lines about what is no file of the batch.
    """
    stdout = sys.stdout  # an engine may keep what its libraries print away from there
    counts: Counter[str] = Counter()
    failed: list[Outcome] = []
    with _progress(total, style) as (advance, say, lines):
        for outcome in outcomes:
            counts[outcome.status] += 1
            if counts["ok"] == 1 and outcome.status == "ok":
                tell_device(outcome, style, say)
            tell_warnings(outcome, style, say)
            tell(outcome, lines, say, stdout)
            if outcome.status != "not_tried":
                advance()
            if outcome.status == "failed":
                failed.append(outcome)
    if not style.quiet:
        for warning in warnings:
            warn(warning)
    if not (style.as_json or style.quiet):
        _sum_up(counts, failed, style.done)
    return failed[0].exit_code if failed else 0


def warn(message: str) -> None:
    """Print a line about what is no file of the batch, on stderr."""
    failures.say(failures.printable(f"warning: {message}"))


def tell(
    outcome: Outcome, style: Style, say: Say = failures.say, stdout: TextIO | None = None
) -> None:
    """Tell one outcome in the given style; `say` prints a line beside a bar."""
    if style.as_json:
        click.echo(json_line(outcome), file=stdout)
    elif outcome.status == "failed":
        say(failures.in_lines(outcome.message, outcome.trace))
    elif outcome.status == "ok" and not style.quiet:
        say(failures.printable(f"{outcome.job.target}: {style.describe(outcome.report)}"))
    elif outcome.status == "skipped" and style.verbose:
        say(failures.printable(f"{outcome.job.target}: exists already, skipped"))


def tell_device(outcome: Outcome, style: Style, say: Say = failures.say) -> None:
    """The line of --verbose about the device that a file was converted on."""
    if style.verbose and not style.as_json and outcome.report is not None:
        report: Any = outcome.report
        fell_back = style.device == "auto" and report.device == "cpu"
        reason = " (auto: no CUDA device found)" if fell_back else ""
        say(f"device: {report.device}{reason}")


def tell_warnings(outcome: Outcome, style: Style, say: Say = failures.say) -> None:
    """A line for each thing that was dropped or lost, with the file that it is about."""
    if style.as_json or style.quiet:
        return
    if outcome.attempts > 1:
        lost = f"a worker died over it, attempt {outcome.attempts}"
        say(failures.printable(f"warning: {outcome.job.source}: {lost}"))
    if outcome.report is not None:
        report: Any = outcome.report
        for warning in report.warnings:
            say(failures.printable(f"warning: {outcome.job.source}: {warning}"))


def json_line(outcome: Outcome) -> str:
    """One JSON object, ASCII only; docs/cli.md lists its keys."""
    record: dict[str, object] = {
        "input": str(outcome.job.source),
        "output": str(outcome.job.target),
        "status": outcome.status,
        "exit_code": outcome.exit_code,
    }
    if outcome.attempts > 1:
        record["attempts"] = outcome.attempts
    if outcome.report is not None:
        fields = dataclasses.asdict(outcome.report)
        # JSON has no infinity: the PSNR of a picture that came back exactly.
        record |= {
            key: None if isinstance(value, float) and not math.isfinite(value) else value
            for key, value in fields.items()
        }
    if outcome.status == "failed":
        record |= {"error": outcome.error, "message": outcome.message}
    return json.dumps(record)


@contextmanager
def _progress(total: int, style: Style) -> Iterator[tuple[Callable[[], None], Say, Style]]:
    """A bar with the time to go on a terminal.

    Gives what moves it, what prints lines above it, and the style of these.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    console = Console(stderr=True)
    # JSON on the same terminal would be torn apart by the bar.
    shares_terminal = style.as_json and sys.stdout.isatty()
    has_bar = console.is_interactive and not style.quiet and not shares_terminal
    with Progress(
        TextColumn(style.done),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        redirect_stdout=False,  # to rich it would all belong to stderr
        disable=not has_bar,
    ) as progress:
        task = progress.add_task(style.done, total=total)
        if not has_bar:
            yield lambda: None, failures.say, style
            return
        yield (
            lambda: progress.advance(task),
            # Neither wrapped nor taken for markup: it may hold any name.
            lambda line: console.print(Text(line), soft_wrap=True),
            style if style.verbose else dataclasses.replace(style, quiet=True),
        )


def _sum_up(counts: Counter[str], failed: list[Outcome], done: str) -> None:
    """How many became what, and the list of those that failed."""
    parts = [f"{counts['ok']} {done}"]
    parts += [
        f"{counts[status]} {status.replace('_', ' ')}"
        for status in ("skipped", "failed", "not_tried")
        if counts[status]
    ]
    failures.say(", ".join(parts))
    for outcome in failed:
        failures.say(failures.printable(f"failed: {outcome.job.source}"))
