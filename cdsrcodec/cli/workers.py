"""Files converted one after the other, here or by worker processes, each with its outcome.

A worker is a fresh process (spawned: torch and CUDA do not survive a fork) that takes one
file at a time over a pipe and keeps its models loaded. One that is killed costs the file it
had and is replaced. One whose parent is gone finds its pipe closed and ends.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from cdsrcodec.cli import failures
from cdsrcodec.cli.plan import Job
from cdsrcodec.errors import CdsrError, DeviceError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

# Source and target to a report, a dataclass.
Convert: TypeAlias = "Callable[[Path, Path], DataclassInstance]"
STOP_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Outcome:
    """What became of one file.

    Attributes:
        job: the file.
        status: "skipped" is one whose output was there.
        report: what the conversion says, if it is "ok".
        exit_code: of the error, 0 without one.
        error: class of the error, empty without one.
        message: its line, naming the file.
        trace: its traceback, for --debug.
    """

    job: Job
    status: Literal["ok", "skipped", "failed"]
    report: DataclassInstance | None = None
    exit_code: int = 0
    error: str = ""
    message: str = ""
    trace: str = ""


def attempt(convert: Convert, job: Job) -> Outcome:
    """Convert one file; whatever is wrong with it becomes its outcome.

    Interrupts and broken pipes are not about the file and pass.
    """
    try:
        return Outcome(job, "ok", report=convert(job.source, job.target))
    except CdsrError as error:
        return _failed(job, error, str(error), error.exit_code)
    except BrokenPipeError:
        raise
    except MemoryError as error:
        message = f"{job.source}: {failures.OUT_OF_MEMORY}"
        return _failed(job, error, message, failures.OUT_OF_MEMORY_EXIT_CODE)
    except Exception as error:  # a bug: of this file only, as long as there are others
        message = (
            f"{job.source}: a fault of this program: {type(error).__name__}: {error}. "
            "hint: please report what --debug shows"
        )
        return _failed(job, error, " ".join(message.split()), CdsrError.exit_code)


def _failed(job: Job, error: Exception, message: str, exit_code: int) -> Outcome:
    trace = traceback.format_exc()
    return Outcome(job, "failed", None, exit_code, type(error).__name__, message, trace)


def set_threads(threads: int) -> None:
    """Let torch use this many CPU threads in this process."""
    import torch

    torch.set_num_threads(threads)


def usable_cores() -> int:
    """CPU cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def convert_all(
    jobs: Sequence[Job],
    convert: Convert,
    *,
    workers: int = 1,
    threads: int | None = None,
    fail_fast: bool = False,
) -> Iterator[Outcome]:
    """Convert files, and tell the outcomes in the order of the jobs.

    Args:
        jobs: what to convert; the folders of the targets exist.
        convert: the conversion; of more than one worker it must be picklable.
        workers: processes; 1 is this one.
        threads: CPU threads for all workers together; None leaves those of one worker to
            torch and shares the usable cores between several.
        fail_fast: begin no other file after one has failed.

    Closing the iterator early, or an exception in it, ends the workers.
    """
    workers = min(workers, len(jobs))
    if workers > 1:
        share = max(1, (threads or usable_cores()) // workers)
        yield from _convert_in_workers(jobs, convert, workers, share, fail_fast)
        return
    if threads is not None:
        set_threads(threads)
    for job in jobs:
        outcome = attempt(convert, job)
        yield outcome
        if _ends_the_batch(outcome, fail_fast):
            return


def _ends_the_batch(outcome: Outcome, fail_fast: bool) -> bool:
    """Whether no other file should be begun; without its device no other one can do better."""
    return outcome.status == "failed" and (fail_fast or outcome.error == DeviceError.__name__)


def _convert_in_workers(
    jobs: Sequence[Job], convert: Convert, workers: int, threads: int, fail_fast: bool
) -> Iterator[Outcome]:
    waiting = deque(range(len(jobs)))
    done: dict[int, Outcome] = {}
    told = 0
    crew: list[_Worker] = []
    try:
        while True:
            while waiting and len(crew) < workers:
                crew.append(_Worker(convert, threads))
            for worker in crew:
                if worker.index is None and waiting:
                    index = waiting.popleft()
                    worker.begin(index, jobs[index])
            busy = [worker for worker in crew if worker.index is not None]
            if not busy:
                return
            # A worker that is gone counts as ready: its pipe is at its end.
            ready = wait([worker.connection for worker in busy])
            for worker in (worker for worker in busy if worker.connection in ready):
                index, outcome = worker.finish()
                done[index] = outcome
                if not worker.is_alive:
                    crew.remove(worker)
                if _ends_the_batch(outcome, fail_fast):
                    waiting.clear()
            while told in done:
                yield done.pop(told)
                told += 1
    finally:
        for worker in crew:
            worker.dismiss()
        for worker in crew:
            worker.bury()


class _Worker:
    """A process that converts files, seen from the one that hands them out.

    Attributes:
        index: number of the job it is busy with, or None.
        connection: this end of the pipe between the two.
        is_alive: whether it can take another job.
    """

    def __init__(self, convert: Convert, threads: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, other_end = context.Pipe()
        self.is_alive = True
        self.index: int | None = None
        self._job: Job
        self._process: SpawnProcess = context.Process(
            target=_serve, args=(other_end, convert, threads), daemon=True
        )
        # Ctrl-C reaches every process of the terminal; a child that is started while it is
        # ignored goes on ignoring it and leaves the answer to the parent.
        on_interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            self._process.start()
        finally:
            signal.signal(signal.SIGINT, on_interrupt)
        other_end.close()

    def begin(self, index: int, job: Job) -> None:
        """Hand out a job."""
        self.index, self._job = index, job
        try:
            self.connection.send(job)
        except OSError:
            self.is_alive = False  # it was killed while idle, and `finish` will find that out

    def finish(self) -> tuple[int, Outcome]:
        """The outcome of the job, once the connection is ready; a worker's death is one."""
        assert self.index is not None
        index, self.index = self.index, None
        try:
            return index, self.connection.recv()
        except (EOFError, OSError):
            self.is_alive = False
            self.connection.close()
            self._process.join()
        message = (
            f"{self._job.source}: the worker process that had it died ({self._death()}). "
            "hint: if memory ran out, fewer workers (-j) need less"
        )
        error = CdsrError.__name__
        return index, Outcome(self._job, "failed", None, CdsrError.exit_code, error, message)

    def dismiss(self) -> None:
        """Let an idle worker go, and break off what a busy one does."""
        if self.index is not None:
            self._process.terminate()
        self.connection.close()

    def bury(self) -> None:
        """Wait for the end of a dismissed worker."""
        self._process.join(STOP_TIMEOUT_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._process.close()

    def _death(self) -> str:
        code = self._process.exitcode or 0
        return f"signal {-code}" if code < 0 else f"exit code {code}"


def _serve(connection: Connection, convert: Convert, threads: int) -> None:
    """The life of a worker: convert what comes until the pipe is closed."""
    try:
        for library in ("OMP", "MKL", "OPENBLAS"):  # read when torch and numpy are imported
            os.environ[f"{library}_NUM_THREADS"] = str(threads)
        with failures.raise_on_termination():
            while True:
                connection.send(attempt(convert, connection.recv()))
    except failures.Terminated as end:
        raise SystemExit(end.exit_code) from None
    except (EOFError, BrokenPipeError):
        return
