"""The engine "local": files converted one after the other, here or by worker processes.

A worker is a fresh process (spawned: torch and CUDA do not survive a fork) that takes one
file at a time over a pipe and keeps its models loaded. One that is killed costs the file it
had, if any, and is replaced. One whose parent is gone finds its pipe closed and ends.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Generator, Sequence
from contextlib import closing
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

from cdsrcodec.cli import failures
from cdsrcodec.cli.engines.outcomes import (
    Convert,
    Outcome,
    attempt,
    ends_the_batch,
    in_order,
    limit_threads,
    lost,
)
from cdsrcodec.cli.plan import Job

STOP_TIMEOUT_S = 10.0


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
    workers: int | None = None,
    threads: int | None = None,
    fail_fast: bool = False,
) -> Generator[Outcome, None, None]:
    """Convert files, and tell the outcomes in the order of the jobs.

    Args:
        jobs: what to convert; the folders of the targets exist.
        convert: the conversion; of more than one worker it must be picklable.
        workers: processes; None is this one, as 1 is.
        threads: CPU threads for all workers together; None leaves those of one worker to
            torch and shares the usable cores between several.
        fail_fast: begin no other file after one has failed.

    Closing the generator early, or an exception in it, ends the workers.
    """
    workers = min(workers or 1, len(jobs))
    if workers > 1:
        share = max(1, (threads or usable_cores()) // workers)
        with closing(_convert_in_workers(jobs, convert, workers, share, fail_fast)) as numbered:
            yield from in_order(numbered)
        return
    if threads is not None:
        set_threads(threads)
    for job in jobs:
        outcome = attempt(convert, job)
        yield outcome
        if ends_the_batch(outcome, fail_fast):
            return


def _convert_in_workers(
    jobs: Sequence[Job], convert: Convert, workers: int, threads: int, fail_fast: bool
) -> Generator[tuple[int, Outcome], None, None]:
    waiting = deque(range(len(jobs)))
    crew: list[_Worker] = []
    try:
        while True:
            crew = _without_gone(crew)
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
            finished = []
            for worker in (worker for worker in busy if worker.connection in ready):
                index, outcome = worker.finish()
                if not worker.is_alive:
                    crew.remove(worker)
                if ends_the_batch(outcome, fail_fast):
                    waiting.clear()
                finished.append((index, outcome))
            yield from finished
    finally:
        for worker in crew:
            worker.dismiss()
        for worker in crew:
            worker.bury()


def _without_gone(crew: list[_Worker]) -> list[_Worker]:
    """Those of a crew that have not died while they were idle."""
    gone = [worker for worker in crew if worker.has_gone()]
    for worker in gone:
        worker.dismiss()
        worker.bury()
    return [worker for worker in crew if worker not in gone]


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
            f"the worker process that had it died ({self._death()}). "
            "hint: if memory ran out, fewer workers (-j) need less"
        )
        return index, lost(self._job, message)

    def has_gone(self) -> bool:
        """Whether it died while it was idle, when it has nothing to say but the end of its pipe."""
        return self.index is None and self.connection.poll()

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
        limit_threads(threads)
        with failures.raise_on_termination():
            while True:
                connection.send(attempt(convert, connection.recv()))
    except failures.Terminated as end:
        raise SystemExit(end.exit_code) from None
    except (EOFError, ConnectionError):  # the latter if an answer of ours was not read
        return
