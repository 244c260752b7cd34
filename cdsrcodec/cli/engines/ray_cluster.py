"""A Ray cluster: the way to it, what of it each worker has, and what the workers are."""

from __future__ import annotations

import logging
import math
import os
import signal
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import cdsrcodec
from cdsrcodec.cli.engines.outcomes import Convert, Outcome, attempt, limit_threads
from cdsrcodec.cli.plan import Job
from cdsrcodec.errors import CdsrError, DeviceError

if TYPE_CHECKING:
    from types import ModuleType

CONNECT_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Share:
    """What each worker has of the cluster.

    Attributes:
        workers: how many there are.
        cpus: threads of a worker.
        gpus: of a worker; less than 1 is one that it shares with others.
    """

    workers: int
    cpus: int
    gpus: float


@dataclass(frozen=True)
class Greeting:
    """What a worker says when it runs: its version of this package, and where it is."""

    version: str
    node: str
    process: int


class Worker:
    """An actor that converts one file after the other and keeps its networks loaded."""

    def __init__(self, folder: Path, threads: int, convert: Convert) -> None:
        # So that relative names mean what they mean where the command was given.
        with suppress(OSError):
            os.chdir(folder)
        limit_threads(threads)
        self._convert = convert

    def greet(self) -> Greeting:
        """Say that it runs."""
        import ray

        node = ray.get_runtime_context().get_node_id()
        return Greeting(cdsrcodec.__version__, node, os.getpid())

    def convert(self, job: Job, is_ours: bool) -> Outcome:
        """Convert a file; an output that is there and ours is replaced."""
        convert = partial(self._convert, overwrite=True) if is_ours else self._convert
        return attempt(convert, job)


def terminate(process: int) -> None:
    """End a worker of this node; it removes what it has begun."""
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGTERM)


def divide(
    nodes: Sequence[dict[str, float]],
    workers: int | None,
    threads: int | None,
    *,
    uses_gpus: bool,
) -> Share:
    """Share a cluster between workers, so that one fits on each node with CPUs.

    Args:
        nodes: the resources of each, under "CPU" and "GPU", as Ray names them.
        workers: as many, if it is said; otherwise one a GPU or, without, one a node.
        threads: for all of them, if it is said; otherwise those of the cluster.
        uses_gpus: the workers take GPUs, if there are any.

    Raises:
        DeviceError: no node has a CPU.
    """
    gpus = sum(int(node.get("GPU", 0)) for node in nodes) if uses_gpus else 0
    cpus = [int(node["CPU"]) for node in nodes if node.get("CPU", 0) >= 1]
    if not cpus:
        raise DeviceError("no node of the Ray cluster has a CPU. hint: ray start --num-cpus")
    count = workers or gpus or len(cpus)
    share = max(1, min((threads or sum(cpus)) // count, *cpus))
    return Share(count, share, 1 / math.ceil(count / gpus) if gpus else 0)


@contextmanager
def connection(address: str | None) -> Iterator[ModuleType]:
    """The module `ray`, connected to the cluster at an address.

    Args:
        address: None is that of the environment variable RAY_ADDRESS or, without one, a new
            cluster of this machine, which ends with the connection.

    Raises:
        CdsrError: Ray is not installed.
        DeviceError: there is no cluster.
    """
    try:
        import ray
    except ImportError as error:
        raise CdsrError("Ray is not installed. hint: pip install 'cdsrcodec[ray]'") from error
    # Ray tells of lost workers on standard output, which belongs to results.
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
        try:
            _check_reachable(address)
            with _own_signal_handler():
                ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        except (OSError, RuntimeError, ValueError) as error:
            where = "Ray does not start here" if address is None else f"no Ray cluster at {address}"
            reason = " ".join(str(error).split())
            raise DeviceError(
                f"{where}: {reason}. hint: `ray start --head` starts one on its own"
            ) from error
        try:
            yield ray
        finally:
            ray.shutdown()


def _check_reachable(address: str | None) -> None:
    """Whether anybody listens at host:port: Ray itself tries it for minutes.

    Raises:
        OSError: nobody does.
        ValueError: no number for a port.
    """
    parts = urlsplit(f"//{(address or '').rpartition('://')[2]}")
    if parts.hostname is not None and parts.port is not None:
        socket.create_connection((parts.hostname, parts.port), CONNECT_TIMEOUT_S).close()


@contextmanager
def _own_signal_handler() -> Iterator[None]:
    """Undo what is done to the handling of SIGTERM: Ray takes it over."""
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)
