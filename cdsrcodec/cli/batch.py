"""What encode, decode and upscale share: one file or many, pipes, and the telling of results."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path
from typing import Any

import click

from cdsrcodec.cli import results
from cdsrcodec.cli.batch_options import Settings
from cdsrcodec.cli.engines import local, ray_engine
from cdsrcodec.cli.engines.outcomes import (
    Convert,
    Outcome,
    attempt,
    ends_the_batch,
    failed,
)
from cdsrcodec.cli.places import Place, exists, make_folder, parse_file, parse_place
from cdsrcodec.cli.plan import Job, Kind, Plan, plan_jobs, split_list
from cdsrcodec.cli.spooling import PIPE, check_pipes, convert_spooled, is_spooled
from cdsrcodec.errors import FileAccessError

METAVAR = "IN OUT | IN... -o DIR"


@dataclass(frozen=True)
class Conversion:
    """What differs between encode, decode and upscale.

    Attributes:
        convert: a source and a target, both paths, to a report, and on_step, see with_steps;
            picklable.
        describe: the line about a report.
        done: "encoded", "decoded" or "enlarged".
        device: as it was asked for.
        kind: which files are taken from folders.
        extension: of the outputs, for their names and the format on standard output.
        check_name: refuses the name of an output with a ValueError, before any work is done.
        reads_target: convert looks at the output that it replaces.
    """

    convert: Callable[..., Any]
    describe: Callable[[Any], str]
    done: str
    device: str
    kind: Kind
    extension: str
    check_name: Callable[[str], None] | None = None
    reads_target: bool = False


def shows_steps(settings: Settings) -> bool:
    """Whether the steps within a file may be shown: many files have a bar of their own."""
    return settings.folder is None and not settings.quiet


def with_steps(conversion: Conversion, on_step: Callable[[int, int], None] | None) -> Conversion:
    """The conversion of one file, telling its steps; as it is where nothing shows them."""
    if on_step is None:
        return conversion
    return replace(conversion, convert=functools.partial(conversion.convert, on_step=on_step))


def run(conversion: Conversion, names: tuple[str, ...], settings: Settings) -> int:
    """Convert one file, or the files of a batch, and give the exit code.

    Raises:
        click.UsageError: arguments and options that do not fit together.
        CdsrError: about the one file, or about a batch as a whole.
    """
    if settings.quiet and settings.verbose:
        raise click.UsageError("--quiet and --verbose exclude each other")
    if settings.skip_existing and settings.overwrite:
        raise click.UsageError("--skip-existing and --force exclude each other")
    if settings.ray_address is not None and settings.engine != "ray":
        raise click.UsageError("--ray-address belongs to --engine ray")
    if settings.folder is not None:
        return _run_many(conversion, names, settings, settings.folder)
    _refuse_batch_options(settings)
    if len(names) != 2:
        count = len(names) or "no"
        raise click.UsageError(f"{count} file name(s). hint: give IN and OUT, or IN... and -o DIR")
    source, target = names
    return _run_one(conversion, Job(parse_place(source), parse_file(target)), settings)


def _run_one(conversion: Conversion, job: Job, settings: Settings) -> int:
    _check_names(conversion, [job])
    check_pipes(job.source, job.target)
    if job.target == PIPE and settings.as_json:
        raise click.UsageError("--json and OUT would both go to standard output. hint: name a file")
    settings = _within_cores(settings)
    if settings.threads is not None:
        local.set_threads(settings.threads)
    convert = _reaching(conversion, settings, [job])
    if settings.as_json:
        outcome = attempt(convert, job)
    else:
        outcome = Outcome(job, "ok", report=convert(job.source, job.target))
    style = _style(conversion, settings)
    results.tell_device(outcome, style)
    results.tell_warnings(outcome, style)
    results.tell(outcome, style)
    return outcome.exit_code


def _run_many(
    conversion: Conversion, names: tuple[str, ...], settings: Settings, folder: Place
) -> int:
    paths = [parse_place(name) for name in names]
    warnings: list[str] = []
    if settings.list_file is not None:
        listed = split_list(_read_list(settings.list_file))
        if not listed:
            warnings.append(f"{settings.list_file}: no names in it")
        paths += listed
    elif not paths:
        raise click.UsageError("no file names. hint: give IN... or --files-from")
    if PIPE in paths:
        raise click.UsageError("- has no name for an output in DIR. hint: give IN and OUT")
    template = settings.template
    plan = plan_jobs(
        paths,
        folder,
        template=f"{{stem}}.{conversion.extension}" if template is None else template,
        kind=conversion.kind,
        recursive=settings.recursive,
    )
    _check_names(conversion, plan.jobs)
    warnings += _warnings(plan, conversion.kind, settings)
    settings = _within_cores(settings)
    total = len(plan.unreadable) + len(plan.jobs)
    outcomes = _outcomes(conversion, plan, folder, settings)
    with closing(outcomes):
        return results.tell_all(outcomes, total, _style(conversion, settings), warnings)


def _warnings(plan: Plan, kind: Kind, settings: Settings) -> list[str]:
    """What is to be said of files and folders that are no part of the batch."""
    lines = [f"{folder}: no {kind.name} in it" for folder in plan.empty]
    if settings.verbose:
        lines += [f"{place}: a picture that cannot be read here" for place in plan.left_out]
    if plan.left_out:
        count = len(plan.left_out)
        suffixes = ", ".join(sorted({place.suffix.lower() for place in plan.left_out}))
        files = "file" if count == 1 else "files"
        lines.append(f"{count} {files} of other picture types left out: {suffixes}")
    return lines


def _outcomes(
    conversion: Conversion, plan: Plan, folder: Place, settings: Settings
) -> Generator[Outcome, None, None]:
    """Of the folders that cannot be read, and of all jobs in their order."""
    for job, error in plan.unreadable:
        yield failed(job, error, str(error), error.exit_code)
    done = {job for job in plan.jobs if settings.skip_existing and exists(job.target)}
    has_ended = settings.fail_fast and bool(plan.unreadable)
    due = [] if has_ended else [job for job in plan.jobs if job not in done]
    failures = _failures_of(_make_folders(folder, due), due)
    ending = {job for job, end in failures.items() if ends_the_batch(end, settings.fail_fast)}
    # With workers, what comes after such a failure would be begun before it is told.
    tried = [
        replace(job, skips_existing=settings.skip_existing)
        for job in takewhile(lambda job: job not in ending, due)
        if job not in failures
    ]
    converted = _engine(conversion, settings)(
        tried,
        _reaching(conversion, settings, tried),
        workers=settings.workers,
        threads=settings.threads,
        fail_fast=settings.fail_fast,
    )
    with closing(converted):
        for job in plan.jobs:
            if job in done:
                yield Outcome(job, "skipped")
            elif has_ended:
                yield Outcome(job, "not_tried")
            elif job in failures:
                has_ended = job in ending
                yield failures[job]
            else:
                yield next(converted, None) or Outcome(job, "not_tried")


def _failures_of(unmade: dict[Place, FileAccessError], jobs: list[Job]) -> dict[Job, Outcome]:
    """The outcomes of the jobs whose folders cannot be made."""
    return {
        job: failed(job, error, str(error), error.exit_code)
        for job in jobs
        if (error := unmade.get(job.target.parent)) is not None
    }


def _make_folders(top: Place, jobs: list[Job]) -> dict[Place, FileAccessError]:
    """Make the folders of the outputs; gives those that cannot be made, and why.

    Raises:
        FileAccessError: the one that all the others are in cannot be made.
    """
    unmade = {}
    for folder in sorted({top, *(job.target.parent for job in jobs)} if jobs else (), key=str):
        try:
            make_folder(folder)
        except FileAccessError as error:
            if folder == top:
                raise
            unmade[folder] = error
    return unmade


def _within_cores(settings: Settings) -> Settings:
    """No more threads than cores of this machine, which would only hinder each other."""
    cores = local.usable_cores()
    if settings.engine != "local" or settings.threads is None or settings.threads <= cores:
        return settings
    if not settings.quiet:
        results.warn(f"--threads {settings.threads}: cut down to {cores}, one a core")
    return replace(settings, threads=cores)


def _engine(
    conversion: Conversion, settings: Settings
) -> Callable[..., Generator[Outcome, None, None]]:
    if settings.engine == "local":
        return local.convert_all
    return functools.partial(
        ray_engine.convert_all, address=settings.ray_address, device=conversion.device
    )


def _check_names(conversion: Conversion, jobs: list[Job]) -> None:
    if conversion.check_name is None:
        return
    for job in jobs:
        try:
            conversion.check_name(str(job.target))
        except ValueError as error:
            raise click.UsageError(str(error)) from error


def _reaching(conversion: Conversion, settings: Settings, jobs: list[Job]) -> Convert:
    """The conversion, with temporary files where the jobs have ends that are no paths."""
    if not any(is_spooled(place) for job in jobs for place in (job.source, job.target)):
        return conversion.convert
    return functools.partial(
        convert_spooled,
        conversion.convert,
        extension=conversion.extension,
        overwrite=settings.overwrite,
        reads_target=conversion.reads_target,
    )


def _style(conversion: Conversion, settings: Settings) -> results.Style:
    return results.Style(
        conversion.done,
        conversion.describe,
        conversion.device,
        as_json=settings.as_json,
        quiet=settings.quiet,
        verbose=settings.verbose,
    )


def _refuse_batch_options(settings: Settings) -> None:
    """Nothing that was asked for is passed over in silence."""
    given = {
        "-r": settings.recursive,
        "--template": settings.template is not None,
        "--files-from": settings.list_file is not None,
        "--skip-existing": settings.skip_existing,
        "--fail-fast": settings.fail_fast,
        "-j": settings.workers is not None,
        "--engine ray": settings.engine == "ray",
    }
    for name, is_given in given.items():
        if is_given:
            raise click.UsageError(f"{name} is for many files. hint: give -o DIR")


def _read_list(path: Path) -> bytes:
    try:
        return sys.stdin.buffer.read() if path == PIPE else path.read_bytes()
    except OSError as error:
        raise FileAccessError(f"{path}: cannot be read: {error.strerror}") from error
