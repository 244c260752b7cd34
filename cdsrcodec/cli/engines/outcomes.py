"""What became of a file, whichever engine had it, and in which order that is told."""

from __future__ import annotations

import errno
import os
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from cdsrcodec.cli import failures
from cdsrcodec.cli.plan import Job
from cdsrcodec.errors import CdsrError, DeviceError, OutputExistsError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_FULL_DISK = {errno.ENOSPC, errno.EDQUOT}
# A source and a target, and overwrite=True for one that is certainly ours, to a report.
Convert: TypeAlias = "Callable[..., DataclassInstance]"


@dataclass(frozen=True)
class Outcome:
    """What became of one file.

    Attributes:
        job: the file.
        status: "skipped" is one whose output was there, "not_tried" one that the batch did not
            come to because it has ended.
        report: what the conversion says, if it is "ok".
        exit_code: of the error, 0 without one.
        error: class of the error, empty without one.
        message: its line, naming the file.
        trace: its traceback, for --debug.
        attempts: how often it was begun: once, unless a worker of a cluster was lost.
        is_final: whether no other file can do better: without its device, on a full disk.
    """

    job: Job
    status: Literal["ok", "skipped", "failed", "not_tried"]
    report: DataclassInstance | None = None
    exit_code: int = 0
    error: str = ""
    message: str = ""
    trace: str = ""
    attempts: int = 1
    is_final: bool = False


def attempt(convert: Convert, job: Job) -> Outcome:
    """Convert one file; whatever is wrong with it becomes its outcome.

    Interrupts and broken pipes are not about the file and pass.
    """
    try:
        return Outcome(job, "ok", report=convert(job.source, job.target))
    except CdsrError as error:
        if job.skips_existing and isinstance(error, OutputExistsError):
            return Outcome(job, "skipped")
        return failed(job, error, str(error), error.exit_code)
    except BrokenPipeError:
        raise
    except Exception as error:
        if (shortage := failures.memory_message(error)) is not None:
            message = f"{job.source}: {shortage}"
            return failed(job, error, message, failures.OUT_OF_MEMORY_EXIT_CODE)
        # A bug: of this file only, as long as there are others.
        message = (
            f"{job.source}: a fault of this program: {type(error).__name__}: {error}. "
            "hint: please report what --debug shows"
        )
        return failed(job, error, " ".join(message.split()), CdsrError.exit_code)


def failed(job: Job, error: Exception, message: str, exit_code: int) -> Outcome:
    """The outcome of a file about which an exception was raised."""
    trace = "".join(traceback.format_exception(error))
    return Outcome(
        job,
        "failed",
        None,
        exit_code,
        type(error).__name__,
        message,
        trace,
        is_final=_is_final(error),
    )


def _is_final(error: BaseException | None) -> bool:
    """Whether it, or what it came from, is a missing device or a full disk."""
    while error is not None:
        if isinstance(error, DeviceError):
            return True
        if isinstance(error, OSError) and error.errno in _FULL_DISK:
            return True
        error = error.__cause__
    return False


def lost(job: Job, message: str, attempts: int = 1) -> Outcome:
    """The outcome of a file whose worker died; the message is about the file."""
    error = CdsrError.__name__
    return Outcome(
        job, "failed", None, CdsrError.exit_code, error, f"{job.source}: {message}", "", attempts
    )


def ends_the_batch(outcome: Outcome, fail_fast: bool) -> bool:
    """Whether no other file should be begun."""
    return outcome.status == "failed" and (fail_fast or outcome.is_final)


def in_order(numbered: Iterable[tuple[int, Outcome]]) -> Iterator[Outcome]:
    """Outcomes in the order of their numbers, from 0, each as soon as all before it are there.

    If an interruption or error breaks them off, those that were waiting come before it.
    """
    waiting: dict[int, Outcome] = {}
    told = 0
    try:
        for number, outcome in numbered:
            waiting[number] = outcome
            while told in waiting:
                yield waiting.pop(told)
                told += 1
    except GeneratorExit:  # nobody listens any more
        raise
    except BaseException:
        for number in sorted(waiting):
            yield waiting.pop(number)
        raise


def limit_threads(threads: int) -> None:
    """Let this process use so many CPU threads; torch and numpy must not be imported yet."""
    for library in ("OMP", "MKL", "OPENBLAS"):
        os.environ[f"{library}_NUM_THREADS"] = str(threads)
