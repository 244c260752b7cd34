from __future__ import annotations

import dataclasses
import multiprocessing
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from cdsrcodec.errors import FileAccessError, InputImageError, ModelError
from cdsrcodec.evaluation.bench import running
from cdsrcodec.evaluation.bench.journal import append_to_journal, read_journal
from cdsrcodec.evaluation.bench.measuring import Finished, measure
from cdsrcodec.evaluation.bench.plan import Settings, Task, Unit
from cdsrcodec.evaluation.bench.rows import Row, to_csv
from cdsrcodec.evaluation.bench.running import JOURNAL, Measured, Progress, run_bench
from cdsrcodec.evaluation.bench.timing import Spent, Timing, timing_line
from cdsrcodec.evaluation.codecs import find_codec


def run(settings: Settings, jobs: int = 1) -> tuple[Measured, list[Progress]]:
    seen: list[Progress] = []
    return run_bench(settings, jobs, seen.append), seen


def untimed(rows: list[Row]) -> list[Row]:
    return [
        dataclasses.replace(row, encode_s=None, decode_s=0.0, peak_memory_bytes=None)
        for row in rows
    ]


def test_rows_come_by_picture_codec_and_rung(settings: Settings) -> None:
    measured, seen = run(settings)
    assert [(row.image, row.method, row.rung) for row in measured.rows] == [
        (image, codec, rung)
        for image in ("a.png", "b.PNG") for codec in ("webp", "jpeg") for rung in (10.0, 60.0)
    ]  # fmt: skip
    assert measured.failures == {}
    assert [progress.units_done for progress in seen] == list(range(9))
    assert seen[-1].cost_done == pytest.approx(seen[-1].cost)


def test_a_killed_sweep_goes_on_and_ends_with_the_same_table(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    unbroken, _ = run(dataclasses.replace(settings, output=tmp_path / "unbroken"))
    measured_units: list[Unit] = []

    def die_after_three(unit: Unit, settings: Settings) -> Finished:
        if len(measured_units) == 3:
            raise KeyboardInterrupt
        measured_units.append(unit)
        return measure(unit, settings)

    with monkeypatch.context() as patch:
        patch.setattr(running, "measure", die_after_three)
        with pytest.raises(KeyboardInterrupt):
            run(settings)
    # As a process killed while it writes leaves the file.
    with (settings.output / JOURNAL).open("a") as journal:
        journal.write('{"key": "abc", "row": {"image": "a.p')
    resumed, seen = run(settings)
    assert resumed.units_resumed == 3
    assert seen[0].units_done == 3
    assert untimed(resumed.rows) == untimed(unbroken.rows)
    assert len(resumed.rows) == 8
    again, _ = run(settings)
    assert again.units_resumed == 8
    assert to_csv(again.rows) == to_csv(resumed.rows)


def test_work_that_is_broken_off_is_not_waited_for(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "long.png"
    Image.effect_noise((512, 512), 64).convert("RGB").save(path)
    quick = Unit("quick", path, find_codec("jpeg", device="cpu"), "", 10.0, 1.0)
    minutes = Unit("minutes", path, find_codec("cdsr1:9", device="cpu"), "", 4.0, 1.0)
    settings = dataclasses.replace(settings, crop_px=0)
    outcomes = running._outcomes([quick, minutes], settings, 2)
    assert next(outcomes)[0] is quick
    workers = multiprocessing.active_children()
    assert workers
    outcomes.close()
    try:
        # Where the pool's own thread has reaped one, it counts as alive until that thread says so.
        deadline_s = time.monotonic() + 20
        while any(worker.is_alive() for worker in workers) and time.monotonic() < deadline_s:
            time.sleep(0.01)
        assert not [worker for worker in workers if worker.is_alive()]
    finally:
        for worker in workers:
            worker.kill()


def test_work_without_its_cut_out_is_done_again(settings: Settings) -> None:
    first, _ = run(settings)
    next((settings.output / "views").iterdir()).unlink()
    second, _ = run(settings)
    assert second.units_resumed == 7
    assert untimed(second.rows) == untimed(first.rows)


def test_a_renamed_picture_is_not_measured_again(settings: Settings) -> None:
    run(settings)
    (settings.folder / "a.png").rename(settings.folder / "z.png")
    measured, _ = run(settings)
    assert measured.units_resumed == 8
    assert [row.image for row in measured.rows][-1] == "z.png"


def test_two_files_of_one_picture_count_as_two_when_they_are_resumed(settings: Settings) -> None:
    (settings.folder / "copy.png").write_bytes((settings.folder / "a.png").read_bytes())
    run(settings)
    again, seen = run(settings)
    assert again.units_resumed == 12
    assert [(progress.units_done, progress.units) for progress in seen] == [(12, 12)]


def test_a_codec_by_another_name_is_not_measured_again_and_has_the_new_name(
    settings: Settings,
) -> None:
    for name, resumed in (("cdsr1", 0), ("cdsr1:0", 2)):
        codec = find_codec(name, device="cpu")
        measured, _ = run(dataclasses.replace(settings, codecs=(codec,), qualities={name: (1.0,)}))
        assert measured.units_resumed == resumed
        assert {row.method for row in measured.rows} == {name}


@pytest.mark.parametrize(("task", "kept"), [("native", 4), ("sr4", 0)])
def test_a_new_version_measures_only_what_it_has_part_in(
    settings: Settings, task: Task, kept: int
) -> None:
    learned = find_codec("cdsr1", device="cpu")
    jpeg = find_codec("jpeg", device="cpu")
    qualities = {"cdsr1": (1.0,), "jpeg": (10.0, 60.0)}
    settings = dataclasses.replace(
        settings, task=task, codecs=(learned, jpeg), qualities=qualities, enlargers=("bicubic",)
    )
    first, _ = run(settings)
    newer, _ = run(dataclasses.replace(settings, version="next"))
    assert newer.units_resumed == kept
    assert untimed(newer.rows) == untimed(first.rows)


def test_bad_pictures_are_left_out_and_reported_by_name(settings: Settings) -> None:
    (settings.folder / "broken.png").write_bytes(b"damaged")
    # Too wide for WebP, which is found out last.
    Image.new("RGB", (16_400, 1)).save(settings.folder / "0-wide.png")
    measured, _ = run(settings)
    assert [path.name for path in measured.failures] == ["0-wide.png", "broken.png"]
    assert all(isinstance(error, InputImageError) for error in measured.failures.values())
    assert {row.image for row in measured.rows} == {"a.png", "b.PNG"}
    assert [picture.path.name for picture in measured.pictures] == ["a.png", "b.PNG"]


def test_a_folder_of_bad_pictures_ends_with_the_first_error(settings: Settings) -> None:
    for name in ("a.png", "b.PNG"):
        (settings.folder / name).write_bytes(b"damaged")
    with pytest.raises(InputImageError, match=r"a\.png"):
        run(settings)


def test_a_codec_that_cannot_run_ends_the_sweep(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(unit: Unit, settings: Settings) -> Finished:
        raise ModelError("no weights")

    monkeypatch.setattr(running, "measure", refuse)
    with pytest.raises(ModelError, match="no weights"):
        run(settings)


def test_a_report_that_cannot_be_written_is_refused_before_any_work(
    settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FileAccessError, match="file"):
        run(dataclasses.replace(settings, output=tmp_path / "file"))


def test_the_harness_has_what_neither_codecs_nor_metrics_nor_loading_took(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, row: Callable[..., Row]
) -> None:
    def pretend(unit: Unit, settings: Settings) -> Finished:
        time.sleep(0.02)
        return Finished(row("a.png", "jpeg", 1.0), Spent(0.01, 0.005, 0.001))

    monkeypatch.setattr(running, "measure", pretend)
    timing = run(settings)[0].timing
    assert (timing.processes, timing.units) == (1, 8)
    assert timing.spent == pytest.approx((0.08, 0.04, 0.008))
    assert timing.wall_s >= 8 * 0.02
    shares = timing.shares_percent()
    assert shares["codecs"] == pytest.approx(100 * 0.08 / timing.wall_s)
    assert shares["harness"] == pytest.approx(100 * (1 - 0.128 / timing.wall_s))
    again = run(settings)[0].timing
    assert (again.units, again.shares_percent()) == (0, {})


def test_the_time_of_two_processes_is_twice_the_wall_time() -> None:
    timing = Timing(processes=2)
    timing.add(Spent(3.0, 1.0, 0.5), wall_s=4.0)
    timing.add(Spent(2.0, 0.5), wall_s=5.0)
    assert timing_line(timing) == (
        "2 units in 5.0 s x 2: codecs 50.0 %, metrics 15.0 %, loading 5.0 %, harness 30.0 %"
    )
    assert timing_line(Timing()) == "nothing was measured anew"


@pytest.mark.slow
def test_two_processes_measure_what_one_does(settings: Settings, tmp_path: Path) -> None:
    alone, _ = run(dataclasses.replace(settings, output=tmp_path / "alone"))
    together, seen = run(settings, jobs=2)
    assert untimed(together.rows) == untimed(alone.rows)
    assert seen[-1].units_done == 8


def test_the_journal_keeps_rows_and_their_absence(tmp_path: Path, row: Callable[..., Row]) -> None:
    assert read_journal(tmp_path / "none") == {}
    kept = row("a.png", "jpeg", 1.0, psnr_rgb_db=float("inf"))
    append_to_journal(tmp_path / "journal", "one", kept)
    append_to_journal(tmp_path / "journal", "two", None)
    assert read_journal(tmp_path / "journal") == {"one": kept, "two": None}
    with pytest.raises(FileAccessError):
        append_to_journal(tmp_path / "missing" / "journal", "one", None)
    with pytest.raises(FileAccessError):
        read_journal(tmp_path)
