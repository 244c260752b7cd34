"""The engine "ray": files converted by the workers of a Ray cluster.

A worker is given a file only when it runs, so that a node that is full or gone holds nothing
up. A file whose worker dies goes to another one: an output appears under its name whole or
not at all, so that a second attempt finds nothing or something to replace, never a part.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import cdsrcodec
from cdsrcodec.cli.engines.outcomes import Convert, Outcome, ends_the_batch, in_order, lost
from cdsrcodec.cli.engines.ray_cluster import Greeting, Worker, connection, divide, terminate
from cdsrcodec.cli.places import exists
from cdsrcodec.cli.plan import Job
from cdsrcodec.errors import CdsrError, DeviceError, FileAccessError

if TYPE_CHECKING:
    from types import ModuleType

Handle: TypeAlias = Any  # of Ray: a worker from here, or the future of its answer

MAX_ATTEMPTS = 3  # at one file, which may be what kills the workers; and at starting a worker
START_TIMEOUT_S = 300.0  # a cluster may first have to get itself a machine
STOP_TIMEOUT_S = 10.0


def convert_all(
    jobs: Sequence[Job],
    convert: Convert,
    *,
    workers: int | None = None,
    threads: int | None = None,
    fail_fast: bool = False,
    address: str | None = None,
    device: str = "auto",
) -> Generator[Outcome, None, None]:
    """Convert files, and tell the outcomes in the order of the jobs.

    Args:
        jobs: what to convert; the folders of the targets exist.
        convert: the conversion, picklable; takes overwrite=True for a second attempt.
        workers: processes in the whole cluster, as `divide`.
        threads: CPU threads for all of them, as `divide`.
        fail_fast: begin no other file after one has failed.
        address: of the cluster, as `connection`.
        device: as the conversion was asked for: all but "cpu" takes GPUs if there are any.

    Closing the generator early, or an exception in it, ends the workers.

    Raises:
        CdsrError: Ray is not installed, or its workers do not start.
        DeviceError: no cluster at the address, or none that has room for a worker.
    """
    if not jobs:
        return
    with connection(address) as ray:
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        share = divide(nodes, workers, threads, uses_gpus=device != "cpu")
        actor = ray.remote(Worker).options(
            num_cpus=share.cpus,
            num_gpus=share.gpus,
            max_restarts=0,  # where there is room for a new one is not known beforehand
            scheduling_strategy="SPREAD",
        )
        start = partial(actor.remote, Path.cwd(), share.cpus, convert)
        batch = _Batch(ray, jobs, start, share.workers, fail_fast)
        with closing(batch.outcomes()) as numbered:
            yield from in_order(numbered)


@dataclass(frozen=True)
class _Member:
    """A worker that runs."""

    worker: Handle
    greeting: Greeting


class _Batch:
    """The files that are waiting, and the workers that have the others."""

    def __init__(
        self,
        ray: ModuleType,
        jobs: Sequence[Job],
        start: Callable[[], Handle],
        max_workers: int,
        fail_fast: bool,
    ) -> None:
        self._ray, self._jobs, self._start = ray, jobs, start
        self._max_workers, self._fail_fast = max_workers, fail_fast
        self._waiting = deque(range(len(jobs)))
        self._attempts: Counter[int] = Counter()
        self._was_there: set[int] = set()
        self._failed_starts = 0
        # By the future of their answer: workers that have not greeted yet, and those that
        # have a file.
        self._starting: dict[Handle, Handle] = {}
        self._busy: dict[Handle, tuple[_Member, int]] = {}
        self._idle: list[_Member] = []

    def outcomes(self) -> Generator[tuple[int, Outcome], None, None]:
        """All of them with the numbers of their jobs, as they come."""
        try:
            self._hand_out()
            while self._waiting or self._busy:
                future = self._wait()
                outcome = None
                if future in self._starting:
                    self._welcome(self._starting.pop(future), future)
                else:
                    member, number = self._busy.pop(future)
                    outcome = self._outcome(member, number, future)
                if outcome is not None and ends_the_batch(outcome, self._fail_fast):
                    # But for those that were begun: outcomes after them wait to be told.
                    self._waiting = deque(n for n in self._waiting if self._attempts[n])
                self._hand_out()  # before the outcome is told, which may take its time
                if outcome is not None:
                    yield number, outcome
        finally:
            self._stop()

    def _hand_out(self) -> None:
        """Give files to the workers that run, and start others if there is more to do."""
        while self._waiting and self._idle:
            self._begin(self._idle.pop())
        room = self._max_workers - len(self._starting) - len(self._busy)
        for _ in range(min(room, len(self._waiting) - len(self._starting))):
            worker = self._start()
            self._starting[worker.greet.remote()] = worker

    def _begin(self, member: _Member) -> None:
        number = self._waiting.popleft()
        job = self._jobs[number]
        if not self._attempts[number] and _may_exist(job):
            self._was_there.add(number)
        self._attempts[number] += 1
        # What is there now and was not before is the work of a worker that died right after.
        is_ours = self._attempts[number] > 1 and number not in self._was_there
        self._busy[member.worker.convert.remote(job, is_ours)] = member, number

    def _wait(self) -> Handle:
        futures = [*self._starting, *self._busy]
        ready, _ = self._ray.wait(futures, timeout=None if self._busy else START_TIMEOUT_S)
        if not ready:
            raise DeviceError(
                f"the Ray cluster had no room for a worker in {START_TIMEOUT_S:g} s. "
                "hint: `ray status` says what is in use"
            )
        return ready[0]

    def _welcome(self, worker: Handle, future: Handle) -> None:
        """A worker that runs, or that does not."""
        try:
            greeting: Greeting = self._ray.get(future)
        except self._ray.exceptions.RayError as error:
            self._failed_starts += 1
            if self._failed_starts < MAX_ATTEMPTS:
                return
            reason = str(error).strip().splitlines()[-1]  # after a traceback
            raise CdsrError(
                f"workers do not start on the Ray cluster: {reason}. "
                "hint: cdsrcodec must be installed on every node"
            ) from error
        if greeting.version != cdsrcodec.__version__:
            raise CdsrError(
                f"a node of the Ray cluster has cdsrcodec {greeting.version}, this is "
                f"{cdsrcodec.__version__}. hint: install the same version everywhere"
            )
        self._failed_starts = 0
        self._idle.append(_Member(worker, greeting))

    def _outcome(self, member: _Member, number: int, future: Handle) -> Outcome | None:
        """That of a file whose answer is there; None if it has to be begun anew."""
        attempts = self._attempts[number]
        try:
            outcome: Outcome = self._ray.get(future)
        except self._ray.exceptions.RayError:
            if attempts < MAX_ATTEMPTS:
                self._waiting.appendleft(number)
                return None
            message = (
                f"{attempts} Ray workers that had it died. "
                "hint: if memory ran out, fewer workers (-j) need less"
            )
            return lost(self._jobs[number], message, attempts)
        self._idle.append(member)
        return replace(outcome, attempts=attempts)

    def _stop(self) -> None:
        """Break off what is being done; Ray itself would let it go on, or leave parts of files."""
        if not self._busy:
            return
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        task = self._ray.remote(terminate)
        for member, _ in self._busy.values():
            place = NodeAffinitySchedulingStrategy(member.greeting.node, soft=False)
            options = task.options(num_cpus=0, scheduling_strategy=place)
            options.remote(member.greeting.process)
        busy = list(self._busy)
        self._ray.wait(busy, num_returns=len(busy), timeout=STOP_TIMEOUT_S)


def _may_exist(job: Job) -> bool:
    """Whether its output is there, for all that can be found out; its worker will say why."""
    try:
        return exists(job.target)
    except FileAccessError:
        return True
