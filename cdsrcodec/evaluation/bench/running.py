"""A benchmark from its settings to the rows: planned, resumed, spread over processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from cdsrcodec.errors import CdsrError, FileAccessError, InputImageError, LimitError
from cdsrcodec.evaluation.bench.journal import append_to_journal, read_journal
from cdsrcodec.evaluation.bench.measuring import Finished, measure
from cdsrcodec.evaluation.bench.plan import Picture, Settings, Unit, inspect_picture, plan_units
from cdsrcodec.evaluation.bench.rows import ORIGINAL, Row
from cdsrcodec.evaluation.bench.timing import Timing
from cdsrcodec.evaluation.bench.views import VIEWS, view_path
from cdsrcodec.evaluation.pictures import find_images
from cdsrcodec.imageio.folders import make_folder

JOURNAL = "journal.jsonl"


class Progress(NamedTuple):
    """How far a benchmark is: units, and their cost, which is more even over time."""

    units: int
    units_done: int
    cost: float
    cost_done: float


@dataclass
class Measured:
    """What came of a benchmark.

    Attributes:
        rows: in the order of the plan.
        pictures: those that were measured, by name.
        failures: what was wrong with each of the others, by name: the error of its first unit.
        units_resumed: units that an earlier run had finished.
        timing: where the time went.
    """

    rows: list[Row] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    failures: dict[Path, CdsrError] = field(default_factory=dict)
    units_resumed: int = 0
    timing: Timing = field(default_factory=Timing)


def run_bench(settings: Settings, jobs: int, on_progress: Callable[[Progress], None]) -> Measured:
    """Measure every picture of the folder; what the report's folder has already is kept.

    A picture that cannot be read or coded is left out, with all of its rows.

    Args:
        settings: what is measured.
        jobs: processes; the codecs share the threads of the machine between them.
        on_progress: called after planning and after each unit.

    Raises:
        InputImageError: the folder has no picture that can be measured.
        FileAccessError: the report's folder cannot be written.
        ModelError, DeviceError: a codec or an enlarger cannot run here.
        CdsrError: a process died.
    """
    begin_s = time.perf_counter()
    journal = settings.output / JOURNAL
    make_folder(settings.output / VIEWS)
    measured = Measured()
    units = _plan(settings, measured)
    finished = _still_valid(read_journal(journal), settings)
    rows = {unit.key: finished[unit.key] for unit in units if unit.key in finished}
    waiting = [unit for unit in units if unit.key not in finished]
    measured.units_resumed = len(units) - len(waiting)  # equal pictures share their keys
    cost = sum(unit.cost for unit in units)
    cost_done = cost - sum(unit.cost for unit in waiting)
    on_progress(Progress(len(units), measured.units_resumed, cost, cost_done))
    timing = measured.timing
    timing.processes = max(1, min(jobs, len(waiting)))
    for done, (unit, outcome) in enumerate(_outcomes(waiting, settings, timing.processes), 1):
        if isinstance(outcome, CdsrError):
            measured.failures.setdefault(unit.path, outcome)
        else:
            append_to_journal(journal, unit.key, outcome.row)
            rows[unit.key] = outcome.row
            timing.add(outcome.spent, time.perf_counter() - begin_s)
        cost_done += unit.cost
        on_progress(Progress(len(units), measured.units_resumed + done, cost, cost_done))
    _collect(measured, units, rows)
    return measured


def _plan(settings: Settings, measured: Measured) -> list[Unit]:
    """The units of all pictures that can be read; the others are failures."""
    units: list[Unit] = []
    for path in find_images(settings.folder):
        try:
            picture = inspect_picture(path, settings.task)
        except (InputImageError, LimitError, FileAccessError) as error:
            measured.failures[path] = error
            continue
        measured.pictures.append(picture)
        units += plan_units(settings, picture)
    return units


def _still_valid(finished: dict[str, Row | None], settings: Settings) -> dict[str, Row | None]:
    """Without the rows whose cut-out was deleted."""
    return {
        key: row
        for key, row in finished.items()
        if row is None or row.view is None or view_path(settings.output, row.view).is_file()
    }


def _outcomes(
    units: Sequence[Unit], settings: Settings, processes: int
) -> Generator[tuple[Unit, Finished | CdsrError], None, None]:
    """Each unit with what came of it, or with the error that its picture is to blame for."""
    if processes == 1:
        yield from ((unit, _try_to_measure(unit, settings)) for unit in units)
        return
    pool = ProcessPoolExecutor(
        max_workers=processes,
        mp_context=multiprocessing.get_context("spawn"),  # torch's threads do not survive a fork
        initializer=_start_worker,
        initargs=(max(1, _cpu_count() // processes),),
    )
    with pool:
        futures = {pool.submit(_try_to_measure, unit, settings): unit for unit in units}
        try:
            for future in as_completed(futures):
                # Let go of what is done: a long sweep has many rows.
                yield futures.pop(future), future.result()
        except BrokenProcessPool as error:
            raise CdsrError(
                "a process died, perhaps for want of memory. hint: the same command goes on "
                "from here; give it fewer --jobs"
            ) from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            # Broken off, it need not wait for units under way, which may take minutes.
            for process in multiprocessing.active_children() if futures else ():
                process.terminate()


def _try_to_measure(unit: Unit, settings: Settings) -> Finished | CdsrError:
    try:
        return measure(unit, settings)
    except (InputImageError, LimitError) as error:
        return error


def _start_worker(threads: int) -> None:
    """Give a process its share of the threads, and let an interrupt end it at once."""
    import torch
    from PIL import AvifImagePlugin

    signal.signal(signal.SIGINT, signal.SIG_DFL)
    torch.set_num_threads(min(threads, torch.get_num_threads()))
    AvifImagePlugin.DEFAULT_MAX_THREADS = threads


def _cpu_count() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _collect(measured: Measured, units: Sequence[Unit], rows: dict[str, Row | None]) -> None:
    """The rows of whole pictures in the order of the plan, by the names they have now."""
    measured.failures = dict(sorted(measured.failures.items()))  # processes end in any order
    measured.pictures = [p for p in measured.pictures if p.path not in measured.failures]
    if not measured.pictures:
        raise next(iter(measured.failures.values()))
    for unit in units:
        row = rows.get(unit.key)
        if row is not None and unit.path not in measured.failures:
            codec = unit.codec.name if unit.codec else ORIGINAL  # cdsr1 may have been cdsr1:0
            measured.rows.append(replace(row, image=unit.path.name, codec=codec))
