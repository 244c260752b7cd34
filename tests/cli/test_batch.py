"""encode and decode of many files: places, lines, JSON, skipping, failures, and going on."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from numpy.typing import NDArray
from PIL import Image

import cdsrcodec
from cdsrcodec.cli import options
from cdsrcodec.cli.engines import local
from cdsrcodec.cli.engines.outcomes import Convert, Outcome
from cdsrcodec.cli.plan import Job
from cdsrcodec.imageio.suffixes import PICTURE_SUFFIXES
from cdsrcodec.imageio.writer import output_format

Run = Callable[..., Result]
Fails = Callable[..., str]


@pytest.fixture
def photos(tmp_path: Path, pixels: NDArray[np.uint8]) -> Path:
    """A folder with two pictures, one of them in a subfolder, and one broken one between."""
    folder = tmp_path / "photos"
    (folder / "trip").mkdir(parents=True)
    Image.fromarray(pixels).save(folder / "a.png")
    Image.fromarray(pixels[:, :20]).save(folder / "trip" / "c.jpg")
    (folder / "b.png").write_bytes(b"no picture")
    return folder


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def files_below(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_a_folder_is_encoded_and_failures_are_listed_at_the_end(
    run: Run, photos: Path, out: Path
) -> None:
    result = run("encode", "-r", photos, "-o", out)
    assert result.exit_code == 3
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert lines[0].startswith(f"{out / 'a.cdsr'}: 37x23 px, ")
    assert lines[1].startswith(f"error: {photos / 'b.png'}: not an image")
    assert lines[2].startswith(f"{out / 'trip' / 'c.cdsr'}: 20x23 px, ")
    assert lines[3:] == ["2 encoded, 1 failed", f"failed: {photos / 'b.png'}"]
    assert files_below(out) == ["a.cdsr", "trip/c.cdsr"]
    assert cdsrcodec.verify_file(out / "trip" / "c.cdsr").width_px == 20


def test_a_folder_is_decoded_in_the_format_that_was_asked_for(
    run: Run, stream: Path, out: Path
) -> None:
    result = run("decode", "-r", stream.parent, "-o", out, "--format", "webp")
    assert result.exit_code == 0
    assert result.stderr.splitlines()[-1] == "1 decoded"
    with Image.open(out / "in.webp") as image:
        assert (image.format, image.size) == ("WEBP", (37, 23))


def test_every_format_choice_can_be_written_and_every_suffix_read() -> None:
    assert {output_format(Path(f"x.{name}")) for name in options.PICTURE_FORMATS} <= set(Image.SAVE)
    assert set(Image.registered_extensions()) >= PICTURE_SUFFIXES


def test_a_template_names_the_pictures_and_their_format(run: Run, stream: Path, out: Path) -> None:
    assert run("decode", stream, "-o", out, "--template", "{stem}-x1.bmp").exit_code == 0
    assert files_below(out) == ["in-x1.bmp"]


def test_json_has_an_object_for_each_file_and_stderr_is_empty(
    run: Run, photos: Path, out: Path
) -> None:
    run("encode", photos / "a.png", "-o", out, "--quiet")
    result = run("encode", "-r", photos, "-o", out, "--json", "--skip-existing")
    records = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.exit_code == 3
    assert result.stderr == ""
    skipped, failed, encoded = records
    assert skipped == {
        "input": str(photos / "a.png"),
        "output": str(out / "a.cdsr"),
        "status": "skipped",
        "exit_code": 0,
    }
    assert failed["status"] == "failed"
    assert (failed["error"], failed["exit_code"]) == ("InputImageError", 3)
    assert failed["message"].startswith(f"{photos / 'b.png'}: ")
    assert (encoded["status"], encoded["exit_code"]) == ("ok", 0)
    assert encoded["stream_bytes"] == (out / "trip" / "c.cdsr").stat().st_size
    assert encoded["psnr_rgb_db"] is None


def test_what_is_skipped_is_told_in_its_turn(run: Run, photos: Path, out: Path) -> None:
    (out / "trip").mkdir(parents=True)
    (out / "trip" / "c.cdsr").touch()
    command = ("encode", "-r", photos, "-o", out, "--skip-existing", "--json", "--threads", "1")
    records = [json.loads(line) for line in run(*command).stdout.splitlines()]
    assert [record["status"] for record in records] == ["ok", "failed", "skipped"]
    assert [Path(record["input"]).name for record in records] == ["a.png", "b.png", "c.jpg"]


def test_json_of_one_file_is_one_object_good_or_bad(
    run: Run, picture: Path, tmp_path: Path
) -> None:
    good = run("encode", "--json", picture, tmp_path / "x.cdsr")
    assert good.exit_code == 0
    assert json.loads(good.stdout)["width_px"] == 37
    bad = run("encode", "--json", picture, tmp_path / "x.cdsr")
    assert bad.exit_code == 7
    assert json.loads(bad.stdout)["error"] == "OutputExistsError"
    assert good.stderr == bad.stderr == ""


def test_quiet_tells_errors_only(run: Run, photos: Path, out: Path) -> None:
    result = run("encode", "-r", photos, "-o", out, "--quiet")
    assert result.exit_code == 3
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith(f"error: {photos / 'b.png'}: ")


def test_a_terminal_gets_a_bar_and_the_errors_on_lines_of_their_own(
    run: Run, photos: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # makes rich take any stream for a terminal
    monkeypatch.setenv("TERM", "xterm")
    colour = re.compile(r"\x1b\[[\d;]*3\d")
    coloured = run("encode", "-r", photos, "-o", out).stderr
    assert "3/3" in coloured
    assert colour.search(coloured)
    assert re.search(rf"(\n|\x1b\[2K)error: {photos / 'b.png'}: not an image", coloured)
    assert " bpp" not in coloured
    monkeypatch.setenv("NO_COLOR", "1")
    plain = run("encode", "-r", photos, "-o", out, "-f", "-v").stderr
    assert "3/3" in plain
    assert not colour.search(plain)
    assert " bpp" in plain


def test_a_list_of_names_comes_from_a_file(run: Run, photos: Path, out: Path) -> None:
    names = out.with_name("names.txt")
    names.write_bytes(os.fsencode(photos / "a.png") + b"\0" + os.fsencode(photos / "trip/c.jpg"))
    assert run("encode", "--files-from", names, "-o", out).exit_code == 0
    assert files_below(out) == ["a.cdsr", "c.cdsr"]


def test_fail_fast_stops_at_the_first_failure(run: Run, photos: Path, out: Path) -> None:
    result = run("encode", "-r", photos, "-o", out, "--fail-fast")
    assert result.exit_code == 3
    assert "1 encoded, 1 failed, 1 not tried" in result.stderr.splitlines()
    assert files_below(out) == ["a.cdsr"]


def test_what_exists_fails_without_force_and_the_others_are_made(
    run: Run, photos: Path, out: Path
) -> None:
    out.mkdir()
    (out / "a.cdsr").write_bytes(b"an older file")
    inputs = (photos / "a.png", photos / "trip" / "c.jpg")
    kept = run("encode", *inputs, "-o", out)
    assert kept.exit_code == 7
    assert kept.stderr.splitlines()[0].endswith("exists already. hint: -f replaces it")
    assert (out / "a.cdsr").read_bytes() == b"an older file"
    assert files_below(out) == ["a.cdsr", "c.cdsr"]
    assert run("encode", *inputs, "-o", out, "-f").exit_code == 0
    assert cdsrcodec.verify_file(out / "a.cdsr").width_px == 37


def test_verbose_names_the_device_once_and_what_was_skipped(
    run: Run, photos: Path, out: Path
) -> None:
    run("encode", photos / "a.png", "-o", out)
    inputs = (photos / "a.png", photos / "trip" / "c.jpg")
    result = run("encode", *inputs, "-o", out, "--skip-existing", "-v", "--device", "cpu")
    lines = result.stderr.splitlines()
    assert lines[:2] == [f"{out / 'a.cdsr'}: exists already, skipped", "device: cpu"]
    assert lines[-1] == "1 encoded, 1 skipped"


def test_permissions_and_times_are_those_of_the_source(run: Run, photos: Path, out: Path) -> None:
    source, target = photos / "a.png", out / "a.cdsr"
    source.chmod(0o600)
    os.utime(source, (1_000_000_000, 1_234_567_890))
    assert run("encode", source, "-o", out).exit_code == 0
    assert target.stat().st_mode & 0o777 == 0o600
    assert target.stat().st_mtime == 1_234_567_890


def test_a_missing_device_ends_the_batch_with_one_line(
    run: Run, photos: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    result = run("encode", "-r", photos, "-o", out, "--device", "cuda")
    assert result.exit_code == 10
    assert result.stderr.count("error: ") == 1
    assert "2 not tried" in result.stderr


@pytest.mark.parametrize("reason", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_ends_the_batch_and_leaves_nothing(
    run: Run, photos: Path, out: Path, monkeypatch: pytest.MonkeyPatch, reason: int
) -> None:
    def fill_disk(*_: object) -> None:
        raise OSError(reason, os.strerror(reason))

    monkeypatch.setattr(os, "fsync", fill_disk)
    result = run("encode", photos / "a.png", photos / "trip" / "c.jpg", "-o", out)
    assert result.exit_code == 9
    assert result.stderr.splitlines() == [
        f"error: {out / 'a.cdsr'}: cannot be written: {os.strerror(reason)}",
        "0 encoded, 1 failed, 1 not tried",
        f"failed: {photos / 'a.png'}",
    ]
    assert files_below(out) == []


def test_another_error_of_writing_does_not_end_the_batch(
    run: Run, photos: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    result = run("encode", photos / "a.png", photos / "trip" / "c.jpg", "-o", out)
    assert result.exit_code == 9
    assert "0 encoded, 2 failed" in result.stderr.splitlines()


def test_max_pixels_refuses_larger_pictures(run: Run, stream: Path, picture: Path) -> None:
    area_px = 37 * 23
    for command, source, target in (("encode", picture, "x.cdsr"), ("decode", stream, "x.png")):
        name = source.with_name(target)
        assert run(command, "--max-pixels", str(area_px - 1), source, name).exit_code == 8
        assert not name.exists()
        assert run(command, "--max-pixels", str(area_px), source, name).exit_code == 0


def test_threads_are_those_that_torch_uses(
    run: Run, picture: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    monkeypatch.setattr("torch.set_num_threads", asked.append)
    monkeypatch.setattr(local, "usable_cores", lambda: 4)
    assert run("encode", "--threads", "3", picture, out.with_suffix(".cdsr")).exit_code == 0
    assert run("encode", "--threads", "2", picture, "-o", out).exit_code == 0
    assert asked == [3, 2]


def test_more_threads_than_cores_are_cut_down_with_a_warning(
    run: Run, picture: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    monkeypatch.setattr("torch.set_num_threads", asked.append)
    monkeypatch.setattr(local, "usable_cores", lambda: 2)
    command = ("encode", "-f", "--threads", "500", picture)
    one, many = run(*command, out.with_suffix(".cdsr")), run(*command, "-o", out)
    quiet = run(*command, "-o", out, "--quiet")
    assert asked == [2, 2, 2]
    warning = "warning: --threads 500: cut down to 2, one a core"
    assert one.stderr.splitlines()[0] == many.stderr.splitlines()[0] == warning
    assert quiet.stderr == ""


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([], "no file name(s). hint: give IN and OUT"),
        (["a"], "1 file name(s). hint: "),
        (["a", "b", "c"], "3 file name(s). hint: "),
        (["-o", "x"], "no file names. hint: give IN... or --files-from"),
        (["a", "b", "-r"], "-r is for many files. hint: give -o DIR"),
        (["a", "b", "-j", "2"], "-j is for many files"),
        (["a", "b", "--skip-existing"], "--skip-existing is for many files"),
        (["a", "-o", "x", "--skip-existing", "-f"], "exclude each other"),
        (["a", "b", "--quiet", "-v"], "exclude each other"),
        (["a", "-o", "x", "--template", "{x}.png"], "no field {x}. hint: fields are {stem}"),
        (["a.x", "a.y", "-o", "x"], "a.x and a.y would both become x/a."),
        (["-", "-o", "x"], "- has no name for an output"),
    ],
)
@pytest.mark.parametrize("command", ["encode", "decode"])
def test_arguments_that_do_not_fit_together_are_wrong_usage(
    fails: Fails, command: str, args: list[str], message: str
) -> None:
    assert message in fails(2, command, *args)


@pytest.mark.parametrize("args", [["a", "b.png"], ["a", "-o", "x", "--template", "{stem}.bmp"]])
def test_a_format_beside_a_name_is_wrong_usage(fails: Fails, args: list[str]) -> None:
    assert "--format contradicts a name" in fails(2, "decode", "--format", "png", *args)


@pytest.mark.parametrize("template", ["{name}", "{stem}.JPG"])
def test_a_template_that_makes_names_of_pictures_is_refused_of_streams(
    fails: Fails, picture: Path, out: Path, template: str
) -> None:
    message = fails(2, "encode", picture, "-o", out, "--template", template)
    assert message.startswith(f"{out}/in.")
    assert "the name of a picture" in message


def test_a_template_of_no_picture_format_is_refused_before_the_work(
    fails: Fails, stream: Path, out: Path
) -> None:
    assert "'.gif'" in fails(3, "decode", stream, "-o", out, "--template", "{stem}.gif")


def test_other_picture_types_of_a_folder_are_counted_and_with_v_named(
    run: Run, stream: Path, photos: Path, out: Path
) -> None:
    for name in ("x.heic", "trip/y.DNG", "trip/z.heic", "Thumbs.db"):
        (photos / name).touch()
    count = "warning: 3 files of other picture types left out: .dng, .heic"
    command = ("encode", "-r", photos, "-o", out, "--skip-existing")
    run(*command)
    lines = run(*command).stderr.splitlines()
    assert lines[1:3] == [count, "0 encoded, 2 skipped, 1 failed"]
    assert [line for line in lines if "Thumbs" in line or "z.heic" in line] == []
    verbose = run(*command, "-v").stderr.splitlines()
    assert f"warning: {photos / 'trip' / 'z.heic'}: a picture that cannot be read here" in verbose
    assert run(*command, "--json").stderr == f"{count}\n"
    assert count not in run(*command, "--quiet").stderr


@pytest.mark.parametrize(
    ("command", "kind"),
    [("encode", "pictures"), ("decode", ".cdsr files"), ("upscale", "pictures")],
)
def test_a_batch_without_files_says_so_and_succeeds(
    run: Run, tmp_path: Path, command: str, kind: str
) -> None:
    folder, names = tmp_path / "empty", tmp_path / "names.txt"
    folder.mkdir()
    names.touch()
    result = run(command, "-r", folder, "--files-from", names, "-o", tmp_path / "out")
    assert result.exit_code == 0
    assert result.stderr.splitlines()[:2] == [
        f"warning: {names}: no names in it",
        f"warning: {folder}: no {kind} in it",
    ]


def test_a_folder_that_cannot_be_read_is_a_failure_among_others(
    run: Run, photos: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = os.scandir

    def refuse(path: str) -> object:
        if Path(path) == photos / "trip":
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    (photos / "b.png").unlink()
    monkeypatch.setattr(os, "scandir", refuse)
    message = f"{photos / 'trip'}: cannot be read: Permission denied"
    result = run("encode", "-r", photos, "-o", out)
    assert result.exit_code == 9
    lines = result.stderr.splitlines()
    assert lines[0] == f"error: {message}"
    assert lines[2:] == ["1 encoded, 1 failed", f"failed: {photos / 'trip'}"]
    command = ("encode", "-r", photos, "-o", out, "-f", "--fail-fast", "--json")
    failed, untried = map(json.loads, run(*command).stdout.splitlines())
    assert (failed["status"], failed["message"]) == ("failed", message)
    assert (untried["status"], untried["input"]) == ("not_tried", str(photos / "a.png"))


def test_files_that_are_not_tried_have_a_record(run: Run, photos: Path, out: Path) -> None:
    (photos / "a.png").unlink()
    result = run("encode", "-r", photos, "-o", out, "--fail-fast", "--json")
    assert result.exit_code == 3
    failed, untried = map(json.loads, result.stdout.splitlines())
    assert failed["status"] == "failed"
    assert untried == {
        "input": str(photos / "trip" / "c.jpg"),
        "output": str(out / "trip" / "c.cdsr"),
        "status": "not_tried",
        "exit_code": 0,
    }


def test_a_list_that_cannot_be_read_is_an_access_error(fails: Fails, out: Path) -> None:
    message = fails(9, "encode", "--files-from", out, "-o", out)
    assert message == f"{out}: cannot be read: No such file or directory"


def test_a_folder_that_cannot_be_made_is_an_access_error(
    fails: Fails, picture: Path, stream: Path
) -> None:
    assert "cannot be made" in fails(9, "encode", picture, "-o", stream / "out")


@pytest.mark.parametrize(("option", "others"), [("--json", "ok"), ("--fail-fast", "not_tried")])
def test_a_folder_in_dir_that_cannot_be_made_fails_its_own_files(
    run: Run, photos: Path, out: Path, option: str, others: str
) -> None:
    (photos / "b.png").rename(photos / "trip" / "b.png")
    out.mkdir()
    (out / "trip").touch()
    inputs, template = (photos / "trip", photos / "a.png"), "{parent}/{stem}.cdsr"
    result = run("encode", "-r", *inputs, "-o", out, "--template", template, "--json", option)
    records = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.exit_code == 9
    assert result.stderr == ""
    message = f"{out / 'trip'}: cannot be made: File exists. hint: name another one"
    assert (records[0]["error"], records[0]["message"]) == ("FileAccessError", message)
    found = [(Path(record["input"]).name, record["status"]) for record in records]
    second = "failed" if others == "ok" else others
    assert found == [("b.png", "failed"), ("c.jpg", second), ("a.png", others)]


def test_with_fail_fast_nothing_behind_a_folder_that_cannot_be_made_is_handed_out(
    run: Run, photos: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out.mkdir()
    (out / "trip").touch()
    handed_out: list[Job] = []
    convert_all = local.convert_all

    def watch(
        jobs: list[Job],
        convert: Convert,
        **settings: Any,  # noqa: ANN401 - those of convert_all
    ) -> Iterator[Outcome]:
        handed_out.extend(jobs)
        return convert_all(jobs, convert, **settings)

    monkeypatch.setattr(local, "convert_all", watch)
    picture = photos / "a.png"
    inputs, template = (picture, photos / "trip", photos / "b.png"), "{parent}/{stem}.cdsr"
    words = ("encode", "-r", *inputs, "-o", out, "--template", template, "--json")
    result = run(*words, "--fail-fast", "-j", "2")
    statuses = [json.loads(line)["status"] for line in result.stdout.splitlines()]
    assert statuses == ["ok", "failed", "not_tried"]
    assert [job.source for job in handed_out] == [picture]
    handed_out.clear()
    run(*words, "-f")
    assert [job.source for job in handed_out] == [picture, photos / "b.png"]


def test_what_another_run_has_made_since_the_start_is_skipped(
    run: Run, photos: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync = os.fsync

    def let_the_other_run_end(descriptor: int) -> None:
        for name in ("a.cdsr", "c.cdsr"):
            (out / name).write_bytes(b"of the other run")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", let_the_other_run_end)
    inputs = (photos / "a.png", photos / "trip")
    result = run("encode", "-r", *inputs, "-o", out, "--skip-existing", "--fail-fast", "-v")
    assert result.exit_code == 0
    assert result.stderr.splitlines() == [
        f"{out / 'a.cdsr'}: exists already, skipped",
        f"{out / 'c.cdsr'}: exists already, skipped",
        "0 encoded, 2 skipped",
    ]
    assert (out / "a.cdsr").read_bytes() == b"of the other run"


def test_sigterm_in_the_middle_of_a_file_leaves_the_earlier_ones_and_no_parts(
    run: Run, photos: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync = os.fsync
    calls: list[int] = []

    def terminate_at_the_second_file(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", terminate_at_the_second_file)
    result = run("encode", photos / "a.png", photos / "trip" / "c.jpg", "-o", out)
    assert result.exit_code == 143
    assert result.stderr.splitlines()[-1] == "error: terminated"
    assert files_below(out) == ["a.cdsr"]
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
