"""What chooses an engine, and how a cluster is shared; the engines have files of their own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import cdsrcodec
from cdsrcodec.cli.engines import ray_engine
from cdsrcodec.cli.engines.outcomes import Outcome, in_order
from cdsrcodec.cli.engines.ray_cluster import Greeting, Share, divide
from cdsrcodec.cli.failures import Terminated
from cdsrcodec.cli.plan import Job
from cdsrcodec.errors import CdsrError, DeviceError

Fails = Callable[..., str]


def test_ray_that_is_not_installed_is_one_line(
    fails: Fails, picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    (tmp_path / "out").mkdir()
    message = fails(1, "encode", picture, "-o", tmp_path / "out", "--engine", "ray", "--quiet")
    assert message == "Ray is not installed. hint: pip install 'cdsrcodec[ray]'"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["a", "b", "--engine", "ray"], "--engine ray is for many files. hint: give -o DIR"),
        (["a", "-o", "x", "--ray-address", "auto"], "--ray-address belongs to --engine ray"),
    ],
)
def test_options_of_an_engine_that_is_not_used_are_wrong_usage(
    fails: Fails, args: list[str], message: str
) -> None:
    assert fails(2, "encode", *args).startswith(message)


@pytest.mark.parametrize(
    ("nodes", "workers", "threads", "uses_gpus", "share"),
    [
        ([8, 8], None, None, False, Share(2, 8, 0)),  # one a node
        ([8, 8], 4, None, False, Share(4, 4, 0)),
        ([8, 8], 4, 4, False, Share(4, 1, 0)),
        ([2, 16], 2, None, False, Share(2, 2, 0)),  # no more than the smallest node has
        ([2], 8, None, False, Share(8, 1, 0)),  # those that find no room do not begin
        ([0, 4], None, None, False, Share(1, 4, 0)),  # a head that only directs
        ([(8, 2), (8, 2)], None, None, True, Share(4, 4, 1)),  # one a GPU
        ([(8, 1)], 3, None, True, Share(3, 2, 1 / 3)),
        ([(8, 1)], None, None, False, Share(1, 8, 0)),
    ],
)
def test_a_cluster_is_shared_so_that_a_worker_fits_on_each_node(
    nodes: list[int | tuple[int, int]],
    workers: int | None,
    threads: int | None,
    uses_gpus: bool,
    share: Share,
) -> None:
    pairs = [node if isinstance(node, tuple) else (node, 0) for node in nodes]
    resources = [{"CPU": float(cpus), "GPU": float(gpus)} for cpus, gpus in pairs]
    assert divide(resources, workers, threads, uses_gpus=uses_gpus) == share


def test_a_cluster_without_cpus_is_no_device() -> None:
    with pytest.raises(DeviceError, match="no node of the Ray cluster has a CPU"):
        divide([{"memory": 1.0}], None, None, uses_gpus=True)


class FailedStart(Exception):
    """As Ray's: after a traceback of the node, the reason."""


def cluster_whose_workers_say(answer: object) -> SimpleNamespace:
    """As much of the module ray as a batch needs until a worker runs; no answer is no room."""
    worker = SimpleNamespace(greet=SimpleNamespace(remote=lambda: "a future"))

    def get(_future: str) -> object:
        if isinstance(answer, Exception):
            raise answer
        return answer

    def wait(futures: list[str], timeout: float) -> tuple[list[str], list[str]]:
        assert timeout == ray_engine.START_TIMEOUT_S
        return ([], futures) if answer is None else (futures, [])

    actor = SimpleNamespace(remote=lambda *_: worker)
    return SimpleNamespace(
        nodes=lambda: [{"Alive": True, "Resources": {"CPU": 2.0}}],
        remote=lambda _: SimpleNamespace(options=lambda **_: actor),
        exceptions=SimpleNamespace(RayError=FailedStart),
        get=get,
        wait=wait,
    )


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        (None, DeviceError, "the Ray cluster had no room for a worker in 300 s. hint: "),
        (
            FailedStart("Traceback\n  line 1\nImportError: no cdsrcodec"),
            CdsrError,
            "workers do not start on the Ray cluster: ImportError: no cdsrcodec. hint: ",
        ),
        (
            Greeting("0.0.1", "node", 1),
            CdsrError,
            f"a node of the Ray cluster has cdsrcodec 0.0.1, this is {cdsrcodec.__version__}. ",
        ),
    ],
    ids=["no room", "no package", "another version"],
)
def test_a_cluster_that_cannot_work_ends_the_batch_with_one_line(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    answer: object,
    error: type[CdsrError],
    message: str,
) -> None:
    cluster = cluster_whose_workers_say(answer)
    monkeypatch.setattr(ray_engine, "connection", lambda _address: nullcontext(cluster))
    job = Job(tmp_path / "x.png", tmp_path / "x.cdsr")

    def convert(*_: Any, **__: Any) -> Any:  # noqa: ANN401 - it is not called
        raise AssertionError

    with pytest.raises(error) as caught:
        list(ray_engine.convert_all([job], convert))
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_outcomes_are_told_in_order_as_soon_as_they_can_be() -> None:
    outcomes = [Outcome(Job(Path(str(n)), Path("x")), "ok") for n in range(4)]
    pulled: list[int] = []

    def numbered() -> Iterator[tuple[int, Outcome]]:
        for number in (1, 0, 3, 2):
            pulled.append(number)
            yield number, outcomes[number]

    told = [(outcome, len(pulled)) for outcome in in_order(numbered())]
    assert told == list(zip(outcomes, (2, 2, 4, 4), strict=True))


@pytest.mark.parametrize("end", [KeyboardInterrupt(), Terminated(15), DeviceError("gone")])
def test_outcomes_that_wait_are_told_before_the_end(end: BaseException) -> None:
    outcomes = [Outcome(Job(Path(str(n)), Path("x")), "ok") for n in range(4)]

    def numbered() -> Iterator[tuple[int, Outcome]]:
        for number in (0, 3, 2):
            yield number, outcomes[number]
        raise end

    told: list[Outcome] = []

    def tell() -> None:
        for outcome in in_order(numbered()):
            told.append(outcome)

    with pytest.raises(type(end)):
        tell()
    assert told == [outcomes[0], outcomes[2], outcomes[3]]
