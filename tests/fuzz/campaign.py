"""Runs fuzzers for a time, counts how inputs end, and keeps those that crash.

    python -m tests.fuzz.campaign --minutes 10
    python -m tests.fuzz.campaign --minutes 10 --fuzzer chunks --seed 7

Every input follows from seed, fuzzer and number, so a campaign can be repeated. An input
that crashes is saved in --crashes; one that kills the process or hangs is the file
`running.cdsr` there. A fixed one goes to tests/fuzz/regressions under its name.
"""

from __future__ import annotations

import argparse
import faulthandler
import hashlib
import resource
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import psutil
import torch

from cdsrcodec.errors import CdsrError
from tests.fuzz.fuzzers import FUZZERS, Fuzzer

# Generous: other processes may hold the machine.
MAX_CASE_S = 10.0
MAX_GROWTH_BYTES = 300 * 2**20
HANG_S = 120.0


class TooSlowError(Exception):
    """An input took more than MAX_CASE_S."""


@dataclass
class Report:
    """How the inputs of one fuzzer ended.

    Attributes:
        executions: number of inputs.
        outcomes: "decoded", or error class and line of code, with how often.
        crashes: the inputs that ended otherwise, as they were saved.
    """

    executions: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    crashes: list[Path] = field(default_factory=list)


@contextmanager
def bounded_process() -> Iterator[None]:
    """One thread, MAX_GROWTH_BYTES more of memory, and warnings as errors."""
    for fuzzer in FUZZERS.values():  # what is loaded once
        outcome_of(fuzzer, fuzzer.make(Random(0)))
    threads, limits = torch.get_num_threads(), resource.getrlimit(resource.RLIMIT_AS)
    torch.set_num_threads(1)  # tiny pictures gain nothing from a second one
    cap_bytes = psutil.Process().memory_info().vms + MAX_GROWTH_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (cap_bytes, limits[1]))
    try:
        with warnings.catch_warnings(action="error"):
            yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
        torch.set_num_threads(threads)


def run_fuzzer(
    fuzzer: Fuzzer, *, seed: int, crashes: Path, seconds: float, max_cases: int | None = None
) -> Report:
    """Feed inputs to a fuzzer until the time or the number of them is up.

    Args:
        fuzzer: one of FUZZERS, in a bounded_process.
        seed: what the inputs follow from.
        crashes: the folder for inputs that crash; made where it is missing.
        seconds: time.
        max_cases: number of inputs, or None.
    """
    crashes.mkdir(parents=True, exist_ok=True)
    running, report = crashes / "running.cdsr", Report()
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s and report.executions != max_cases:
        data = fuzzer.make(Random(f"{seed} {fuzzer.name} {report.executions}"))
        running.write_bytes(data)
        report.executions += 1
        try:
            report.outcomes[outcome_of(fuzzer, data)] += 1
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a panic of the Rust coder is no Exception
            report.outcomes[f"CRASH {_place_of(error)}"] += 1
            report.crashes.append(running.rename(crashes / crash_name(fuzzer, error, data)))
    running.unlink(missing_ok=True)
    return report


def crash_name(fuzzer: Fuzzer, error: BaseException, data: bytes) -> str:
    """The file name of an input that crashed: fuzzer, exception and hash."""
    return f"{fuzzer.name}-{type(error).__name__}-{hashlib.sha256(data).hexdigest()[:8]}.cdsr"


def outcome_of(fuzzer: Fuzzer, data: bytes) -> str:
    """How an input ends, of the ways that are allowed; all others are raised.

    Raises:
        TooSlowError: too late.
    """
    begin_s = time.perf_counter()
    faulthandler.dump_traceback_later(HANG_S, exit=True)
    try:
        fuzzer.check(data)
        outcome = "decoded"
    except CdsrError as error:
        outcome = _place_of(error)
    finally:
        faulthandler.cancel_dump_traceback_later()
    seconds = time.perf_counter() - begin_s
    if seconds > MAX_CASE_S:
        raise TooSlowError(f"{seconds:.1f} s, {outcome}")
    return outcome


def _place_of(error: BaseException) -> str:
    """The class of an error and the line that raised it."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return type(error).__name__
    place = Path(trace.tb_frame.f_code.co_filename)
    return f"{type(error).__name__} at {place.parent.name}/{place.name}:{trace.tb_lineno}"


def main() -> int:
    """The campaign as a command; 1 where there were crashes."""
    parser = argparse.ArgumentParser(description="Fuzz the reader and the decoders.")
    parser.add_argument("--minutes", type=float, default=10.0, help="for all fuzzers together")
    parser.add_argument("--fuzzer", choices=FUZZERS, action="append", help="all unless told")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="the time unless told")
    parser.add_argument("--crashes", type=Path, default=Path("runs/crashes"), metavar="DIR")
    args = parser.parse_args()
    names: list[str] = args.fuzzer or list(FUZZERS)
    seconds, found = 60 * args.minutes / len(names), 0
    sys.stdout.write(f"seed {args.seed}, crashes go to {args.crashes}\n")
    with bounded_process():
        for name in names:
            report = run_fuzzer(
                FUZZERS[name], seed=args.seed, crashes=args.crashes, seconds=seconds
            )
            found += len(report.crashes)
            sys.stdout.write(
                f"{name}: {report.executions} executions, {len(report.outcomes)} distinct "
                f"outcomes, {len(report.crashes)} crashes\n"
            )
            for outcome, count in report.outcomes.most_common():
                sys.stdout.write(f"  {count:8} {outcome}\n")
            sys.stdout.flush()
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
