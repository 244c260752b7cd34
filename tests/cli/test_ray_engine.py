"""Files converted on a Ray cluster of two nodes, on this machine: workers that die and end."""

from __future__ import annotations

import importlib
import json
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import psutil
import pytest
from click.testing import Result
from numpy.typing import NDArray
from PIL import Image

import cdsrcodec
from cdsrcodec.cli.engines.ray_engine import MAX_ATTEMPTS, convert_all
from cdsrcodec.cli.plan import Job

cloudpickle = pytest.importorskip("ray.cloudpickle")
pytestmark = pytest.mark.slow

Run = Callable[..., Result]
STORE_BYTES = 80 * 2**20  # the least that Ray agrees to

# A conversion that does what the file says and writes down which processes had it.
MODULE = """
import os, signal, time
from dataclasses import dataclass
from cdsrcodec.errors import InputImageError, OutputExistsError

@dataclass
class Report:
    process: int
    threads: str

def convert(source, target, overwrite=False):
    word = source.read_text()
    log = source.with_suffix(".log")
    with log.open("a") as file:
        file.write(f"{os.getpid()}\\n")
    is_first = len(log.read_text().splitlines()) == 1
    if word == "bad":
        raise InputImageError(f"{source}: bad")
    if word == "die" or (word == "die once" and is_first):
        os.kill(os.getpid(), signal.SIGKILL)
    if word == "hang":
        part = target.with_suffix(".part")
        try:
            part.write_text("x")
            time.sleep(60)
        finally:
            part.unlink()
    if target.exists() and not overwrite:
        raise OutputExistsError(f"{target}: exists already")
    target.write_text(word)
    if word == "die late" and is_first:
        os.kill(os.getpid(), signal.SIGKILL)
    return Report(os.getpid(), os.environ["OMP_NUM_THREADS"])
"""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """That of a cluster of two nodes with a CPU each."""
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": STORE_BYTES}
    cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    cluster.add_node(**node)
    yield cluster.address
    cluster.shutdown()


@pytest.fixture
def obedient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    (tmp_path / "obedient.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("obedient")
    cloudpickle.register_pickle_by_value(module)
    yield module
    cloudpickle.unregister_pickle_by_value(module)
    del sys.modules["obedient"]


def make_jobs(folder: Path, *words: str) -> list[Job]:
    jobs = []
    for index, word in enumerate(words):
        source = folder / f"{index}.in"
        source.write_text(word)
        jobs.append(Job(source, folder / f"{index}.out"))
    return jobs


def processes_of(job: Job) -> list[str]:
    """Those that had it, in their order."""
    assert isinstance(job.source, Path)
    return job.source.with_suffix(".log").read_text().splitlines()


def test_files_of_workers_that_die_are_neither_lost_nor_made_twice(
    tmp_path: Path, obedient: ModuleType, address: str
) -> None:
    words = ("good", "die once", "die late", "bad", "die", "die once", "good", "good")
    jobs = make_jobs(tmp_path, *words)
    (tmp_path / "5.out").write_text("older")
    outcomes = list(convert_all(jobs, obedient.convert, address=address))
    assert [outcome.job for outcome in outcomes] == jobs
    assert [(o.status, o.exit_code, o.attempts) for o in outcomes] == [
        ("ok", 0, 1),
        ("ok", 0, 2),
        ("ok", 0, 2),  # what the dead worker had finished is replaced
        ("failed", 3, 1),
        ("failed", 1, MAX_ATTEMPTS),
        ("failed", 7, 2),  # what was there before is not
        ("ok", 0, 1),
        ("ok", 0, 1),
    ]
    assert outcomes[4].message.startswith(
        f"{jobs[4].source}: {MAX_ATTEMPTS} Ray workers that had it died. hint: "
    )
    assert [len(processes_of(job)) for job in jobs] == [o.attempts for o in outcomes]
    written = {path.name: path.read_text() for path in tmp_path.glob("*.out")}
    made = {f"{n}.out": words[n] for n, outcome in enumerate(outcomes) if outcome.status == "ok"}
    assert written == made | {"5.out": "older"}
    deaths = sum(outcome.attempts - 1 for outcome in outcomes) + 1  # "die" died at its last too
    assert len({process for job in jobs for process in processes_of(job)}) <= 2 + deaths
    assert {vars(o.report)["threads"] for o in outcomes if o.report} == {"1"}


def test_closing_ends_busy_workers_and_what_they_have_begun(
    tmp_path: Path, obedient: ModuleType, address: str
) -> None:
    jobs = make_jobs(tmp_path, "good", "hang", "good")
    outcomes = convert_all(jobs, obedient.convert, address=address)
    assert isinstance(outcomes, Generator)
    assert next(outcomes).status == "ok"
    part = tmp_path / "1.part"
    wait_for(lambda: part.exists())
    (worker,) = processes_of(jobs[1])
    outcomes.close()
    wait_for(lambda: not psutil.pid_exists(int(worker)))
    assert not part.exists()
    assert not (tmp_path / "1.out").exists()


def wait_for(condition: Callable[[], bool], timeout_s: float = 30.0) -> None:
    give_up_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < give_up_s
        time.sleep(0.02)


def kill_a_worker_after_the_first_file(out: Path, killed: list[int]) -> None:
    """The life of a thread."""
    wait_for(lambda: any(out.glob("*.cdsr")))
    title = "ray::Worker.convert"
    workers = [p for p in psutil.process_iter() if p.cmdline()[:1] and title in p.cmdline()[0]]
    workers[0].kill()
    killed.append(workers[0].pid)


def test_a_batch_whose_worker_is_killed_in_the_middle_is_whole(
    run: Run, pixels: NDArray[np.uint8], tmp_path: Path, address: str
) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    names = [f"{index:02}.png" for index in range(12)]
    for index, name in enumerate(names):
        Image.fromarray(pixels[:, : 20 + index]).save(photos / name)
    killed: list[int] = []
    killer = threading.Thread(target=kill_a_worker_after_the_first_file, args=(out, killed))
    killer.start()
    source = photos.as_uri()
    result = run(
        "encode", "-r", source, "-o", out, "--engine", "ray", "--ray-address", address, "--json"
    )
    killer.join()
    assert len(killed) == 1
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    records = [json.loads(line) for line in result.stdout.splitlines()]
    assert [record["input"] for record in records] == [str(photos / name) for name in names]
    assert {record["status"] for record in records} == {"ok"}
    assert [record["attempts"] for record in records if "attempts" in record] == [2]
    assert sorted(path.name for path in out.glob("[!.]*")) == [f"{n[:2]}.cdsr" for n in names]
    for index in range(len(names)):
        assert cdsrcodec.verify_file(out / f"{index:02}.cdsr").width_px == 20 + index


def test_another_cluster_than_there_is_is_one_line(run: Run, picture: Path, tmp_path: Path) -> None:
    options = ("-o", tmp_path / "out", "--engine", "ray", "--ray-address", "127.0.0.1:1")
    result = run("encode", picture, *options)
    assert result.exit_code == 10
    assert result.stderr.startswith("error: no Ray cluster at 127.0.0.1:1: ")
    assert len(result.stderr.splitlines()) == 1
    assert list((tmp_path / "out").iterdir()) == []
