"""cdsrcodec verify: every file is looked at, the first error makes the exit code."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

import cdsrcodec

Run = Callable[..., Result]
Fails = Callable[..., str]


def test_a_good_file_is_ok_on_stdout(run: Run, stream: Path) -> None:
    result = run("verify", stream)
    assert result.exit_code == 0
    assert result.stdout == f"{stream}: ok\n"
    assert result.stderr == ""


def test_a_broken_stream_is_reported(fails: Fails, undecodable: tuple[Path, int, str]) -> None:
    path, exit_code, word = undecodable
    message = fails(exit_code, "verify", path)
    assert message.startswith(f"{path}: ")
    assert word in message


def test_symbols_that_differ_are_reported_though_the_bytes_are_right(
    fails: Fails, stream: Path, stream_bytes: bytes, with_header: Callable[..., bytes]
) -> None:
    stream.write_bytes(with_header(stream_bytes, symbol_crc=1))
    assert fails(6, "verify", stream).startswith(f"{stream}: ")


def test_all_files_are_checked_and_the_first_error_counts(
    run: Run, stream: Path, stream_bytes: bytes, with_header: Callable[..., bytes], tmp_path: Path
) -> None:
    other_model, cut, missing = (tmp_path / f"{name}.cdsr" for name in ("model", "cut", "missing"))
    other_model.write_bytes(with_header(stream_bytes, model_id=200))
    cut.write_bytes(stream_bytes[:-4])
    result = run("verify", stream, other_model, cut, missing, stream)
    assert result.exit_code == 5
    assert result.stdout == f"{stream}: ok\n" * 2
    errors = result.stderr.splitlines()
    assert [line.split(": ")[:2] for line in errors] == [
        ["error", str(other_model)],
        ["error", str(cut)],
        ["error", str(missing)],
    ]


def test_memory_that_runs_out_over_one_file_does_not_keep_the_others_unchecked(
    run: Run, stream: Path, stream_bytes: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    huge = tmp_path / "huge.cdsr"
    huge.write_bytes(stream_bytes)
    check = cdsrcodec.verify_file

    def check_small(path: Path) -> cdsrcodec.StreamInfo:
        if path == huge:
            raise MemoryError
        return check(path)

    monkeypatch.setattr(cdsrcodec.api, "verify_file", check_small)
    result = run("verify", huge, stream)
    assert result.exit_code == 1
    assert result.stderr == f"error: {huge}: out of memory. hint: a smaller picture needs less\n"
    assert result.stdout == f"{stream}: ok\n"


def test_debug_shows_where_an_error_came_from_and_goes_on(
    run: Run, stream: Path, tmp_path: Path
) -> None:
    missing = tmp_path / "missing.cdsr"
    result = run("verify", "--debug", missing, stream)
    assert result.exit_code == 9
    assert "Traceback (most recent call last)" in result.stderr
    assert f"error: {missing}: " in result.stderr
    assert result.stdout == f"{stream}: ok\n"


def test_the_streams_of_folders_are_checked_in_the_order_of_their_names(
    run: Run, stream_bytes: bytes, tmp_path: Path
) -> None:
    small, empty = tmp_path / "small", tmp_path / "empty"
    (small / "trip").mkdir(parents=True)
    empty.mkdir()
    for name in ("b.cdsr", "a.CDSR", "trip/c.cdsr", ".hidden.cdsr", "notes.txt"):
        (small / name).write_bytes(stream_bytes)
    (small / "b.cdsr").write_bytes(stream_bytes[:-4])
    result = run("verify", "-r", small, small / "notes.txt", empty)
    names = ("a.CDSR", "trip/c.cdsr", "notes.txt")
    assert result.stdout == "".join(f"{small / name}: ok\n" for name in names)
    warning, error = result.stderr.splitlines()
    assert warning == f"warning: {empty}: no .cdsr files in it"
    assert error.startswith(f"error: {small / 'b.cdsr'}: ")
    assert result.exit_code == 4
    assert run("verify", "-r", empty).exit_code == 0


def test_a_folder_that_cannot_be_read_is_the_first_error(
    run: Run, stream: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed, scan = stream.parent / "closed", os.scandir
    closed.mkdir()

    def refuse(path: str) -> object:
        if Path(path) == closed:
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    result = run("verify", "--recursive", stream.parent)
    assert result.exit_code == 9
    assert result.stderr == f"error: {closed}: cannot be read: Permission denied\n"
    assert result.stdout == f"{stream}: ok\n"


def test_a_folder_without_r_is_told_with_what_takes_it_and_the_others_are_checked(
    run: Run, stream: Path
) -> None:
    result = run("verify", stream.parent, stream)
    hint = "hint: -r takes the .cdsr files in it"
    assert result.stderr == f"error: {stream.parent}: a directory. {hint}\n"
    assert (result.exit_code, result.stdout) == (9, f"{stream}: ok\n")


def test_no_file_is_wrong_usage(fails: Fails) -> None:
    assert fails(2, "verify") == "Missing argument 'FILE...'. hint: cdsrcodec verify --help"
