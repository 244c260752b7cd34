"""Files converted here and by worker processes: outcomes, their order, deaths and ends."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from cdsrcodec.cli.engines import local
from cdsrcodec.cli.engines.local import convert_all
from cdsrcodec.cli.engines.outcomes import Convert, Outcome
from cdsrcodec.cli.plan import Job

# A conversion that does what the file says; workers find it by the path of this process.
MODULE = """
import os, signal, time
from dataclasses import dataclass
from cdsrcodec.errors import DeviceError, InputImageError

@dataclass
class Report:
    word: str
    threads: str
    pid: int

def convert(source, target):
    word = source.read_text()
    if word == "bad":
        raise InputImageError(f"{source}: bad")
    if word == "no device":
        raise DeviceError("no such device")
    if word == "bug":
        raise ZeroDivisionError("a bug")
    if word == "no memory":
        raise MemoryError
    if word == "no room":
        raise ImportError("libtorch_cpu.so: failed to map segment from shared object")
    if word == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if word == "hang":
        part = target.with_suffix(".part")
        try:
            part.write_text(str(os.getpid()))
            time.sleep(60)
        finally:
            part.unlink()
    if word == "slow":
        time.sleep(0.4)
    target.write_text(word)
    return Report(word, os.environ.get("OMP_NUM_THREADS", ""), os.getpid())
"""


@pytest.fixture
def convert(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Convert]:
    (tmp_path / "obedient.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("obedient").convert
    del sys.modules["obedient"]


def make_jobs(folder: Path, *words: str) -> list[Job]:
    jobs = []
    for index, word in enumerate(words):
        source = folder / f"{index}.in"
        source.write_text(word)
        jobs.append(Job(source, folder / f"{index}.out"))
    return jobs


def target_of(job: Job) -> Path:
    assert isinstance(job.target, Path)
    return job.target


def summary(outcomes: list[Outcome]) -> list[tuple[str, int]]:
    return [(outcome.status, outcome.exit_code) for outcome in outcomes]


def test_a_failure_of_any_kind_is_the_outcome_of_its_file_alone(
    tmp_path: Path, convert: Convert
) -> None:
    jobs = make_jobs(tmp_path, "bad", "bug", "no memory", "good", "no room")
    outcomes = list(convert_all(jobs, convert))
    assert [outcome.job for outcome in outcomes] == jobs
    codes = [("failed", 3), ("failed", 1), ("failed", 1), ("ok", 0), ("failed", 1)]
    assert summary(outcomes) == codes
    assert [o.error for o in outcomes] == [
        "InputImageError",
        "ZeroDivisionError",
        "MemoryError",
        "",
        "ImportError",
    ]
    messages = [outcome.message for outcome in outcomes]
    assert messages[0] == f"{jobs[0].source}: bad"
    assert messages[1].startswith(f"{jobs[1].source}: a fault of this program: ZeroDivisionError")
    assert messages[2].startswith(f"{jobs[2].source}: out of memory. hint: ")
    assert messages[4].startswith(f"{jobs[4].source}: out of memory while libraries are loaded.")
    assert "Traceback" in outcomes[1].trace
    assert target_of(jobs[3]).read_text() == "good"


@pytest.mark.parametrize(("word", "fail_fast"), [("bad", True), ("no device", False)])
def test_nothing_is_begun_after_a_failure_that_ends_the_batch(
    tmp_path: Path, convert: Convert, word: str, fail_fast: bool
) -> None:
    jobs = make_jobs(tmp_path, "good", word, "good")
    outcomes = list(convert_all(jobs, convert, fail_fast=fail_fast))
    assert [outcome.status for outcome in outcomes] == ["ok", "failed"]
    assert not target_of(jobs[2]).exists()


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), BrokenPipeError()])
def test_what_is_not_about_a_file_passes(tmp_path: Path, failure: BaseException) -> None:
    def fail(_source: Path, _target: Path) -> Outcome:
        raise failure

    with pytest.raises(type(failure)):
        list(convert_all(make_jobs(tmp_path, "x"), fail))


def test_workers_tell_in_order_share_the_threads_and_survive_a_death(
    tmp_path: Path, convert: Convert
) -> None:
    jobs = make_jobs(tmp_path, "slow", "die", "bad", "good", "bug", "good")
    outcomes = list(convert_all(jobs, convert, workers=2, threads=6))
    assert [outcome.job for outcome in outcomes] == jobs
    codes = [("ok", 0), ("failed", 1), ("failed", 3), ("ok", 0), ("failed", 1), ("ok", 0)]
    assert summary(outcomes) == codes
    assert outcomes[1].message == (
        f"{jobs[1].source}: the worker process that had it died (signal {signal.SIGKILL:d}). "
        "hint: if memory ran out, fewer workers (-j) need less"
    )
    assert {vars(o.report)["threads"] for o in outcomes if o.report} == {"3"}
    assert "ZeroDivisionError" in outcomes[4].trace
    assert multiprocessing.active_children() == []


def test_a_worker_that_died_while_it_was_idle_costs_no_file(
    tmp_path: Path, convert: Convert
) -> None:
    jobs = make_jobs(tmp_path, "good", "good", "good", "good")
    outcomes = convert_all(jobs, convert, workers=2)
    told = [next(outcomes)]
    crew = {process.pid: process for process in multiprocessing.active_children()}
    idle = crew[vars(told[0].report)["pid"]]  # until the next outcome is asked for
    idle.kill()
    idle.join()
    told += outcomes
    assert summary(told) == [("ok", 0)] * len(jobs)
    assert multiprocessing.active_children() == []


def test_workers_finish_what_they_have_after_a_failure_with_fail_fast(
    tmp_path: Path, convert: Convert
) -> None:
    jobs = make_jobs(tmp_path, "slow", "bad", *["good"] * 8)
    outcomes = list(convert_all(jobs, convert, workers=2, fail_fast=True))
    assert [outcome.job for outcome in outcomes] == jobs[: len(outcomes)]
    assert 2 <= len(outcomes) < len(jobs)
    assert summary(outcomes)[1] == ("failed", 3)
    written = [job for job in jobs if target_of(job).exists()]
    assert written == [outcome.job for outcome in outcomes if outcome.status == "ok"]


def test_closing_ends_busy_workers_and_what_they_have_begun(
    tmp_path: Path, convert: Convert
) -> None:
    jobs = make_jobs(tmp_path, "slow", "hang", "good", "good")
    outcomes = convert_all(jobs, convert, workers=2)
    assert isinstance(outcomes, Generator)
    assert next(outcomes).status == "ok"
    part = target_of(jobs[1]).with_suffix(".part")
    give_up_s = time.monotonic() + 20
    while not (part.exists() and part.read_text()) and time.monotonic() < give_up_s:
        time.sleep(0.02)
    worker = int(part.read_text())
    outcomes.close()
    assert not part.exists()
    assert multiprocessing.active_children() == []
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)


def test_a_worker_ends_quietly_when_nobody_reads_its_answer(
    tmp_path: Path, convert: Convert, monkeypatch: pytest.MonkeyPatch
) -> None:
    for library in ("OMP", "MKL", "OPENBLAS"):
        monkeypatch.setenv(f"{library}_NUM_THREADS", "1")  # which serving a batch sets
    ours, its_end = multiprocessing.Pipe()
    (job,) = make_jobs(tmp_path, "good")
    ours.send(job)
    worker = threading.Thread(target=local._serve, args=(its_end, convert, 1))
    worker.start()  # an exception in it would be a warning, and so a failure
    assert ours.poll(20)
    ours.close()
    worker.join(20)
    assert not worker.is_alive()
    assert target_of(job).read_text() == "good"


def test_what_workers_have_finished_is_told_before_an_interruption_ends_it(
    tmp_path: Path, convert: Convert
) -> None:
    jobs = make_jobs(tmp_path, "hang", "good", "bad", "hang")
    part = target_of(jobs[3]).with_suffix(".part")  # begun when those before it were answered

    def interrupt() -> None:
        give_up_s = time.monotonic() + 20
        while not part.exists() and time.monotonic() < give_up_s:
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    told: list[Outcome] = []

    def tell() -> None:
        for outcome in convert_all(jobs, convert, workers=2):
            told.append(outcome)

    # Whoever runs the tests behind an & of a shell has the signal ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        threading.Thread(target=interrupt).start()
        with pytest.raises(KeyboardInterrupt):
            tell()
    finally:
        signal.signal(signal.SIGINT, before)
    assert [outcome.job for outcome in told] == jobs[1:3]
    assert summary(told) == [("ok", 0), ("failed", 3)]
    assert not part.exists()
    assert multiprocessing.active_children() == []
