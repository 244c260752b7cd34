"""The name "-": pictures and streams through standard input and output."""

from __future__ import annotations

import errno
import io
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

import cdsrcodec
from cdsrcodec.cli import spooling
from cdsrcodec.cli.main import cli

Fails = Callable[..., str]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files would lie."""
    folder = tmp_path / "spool"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def pipe(data: bytes, *args: str | Path) -> Result:
    """Call the command line with these bytes on standard input."""
    result = CliRunner().invoke(cli, [str(arg) for arg in args], input=data)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_a_picture_goes_through_both_pipes_and_back(
    picture: Path, stream_bytes: bytes, spool: Path
) -> None:
    encoded = pipe(picture.read_bytes(), "encode", "-q", "3", "--device", "cpu", "-", "-")
    assert encoded.exit_code == 0
    assert encoded.stdout_bytes == stream_bytes
    assert encoded.stderr.startswith("-: 37x23 px, ")
    decoded = pipe(encoded.stdout_bytes, "decode", "--format", "bmp", "--device", "cpu", "-", "-")
    assert decoded.exit_code == 0
    with Image.open(io.BytesIO(decoded.stdout_bytes)) as image:
        assert image.format == "BMP"
        expected = np.asarray(cdsrcodec.decode(stream_bytes, device="cpu"))
        np.testing.assert_array_equal(np.asarray(image), expected)
    assert list(spool.iterdir()) == []


def test_one_end_may_be_a_file(picture: Path, stream: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.png"
    assert pipe(stream.read_bytes(), "decode", "-", target).exit_code == 0
    with Image.open(target) as image:
        assert image.size == (37, 23)
    to_pipe = pipe(b"", "decode", stream, "-")
    assert to_pipe.stdout_bytes.startswith(b"\x89PNG")


def test_an_error_about_standard_input_names_it_and_writes_nothing(
    tmp_path: Path, spool: Path
) -> None:
    target = tmp_path / "out.png"
    result = pipe(b"no stream", "decode", "-", target)
    assert result.exit_code == 4
    assert result.stderr.startswith("error: -: ")
    assert str(spool) not in result.stderr
    assert result.stdout_bytes == b""
    assert not target.exists()
    assert list(spool.iterdir()) == []


@pytest.mark.parametrize("command", ["info", "verify"])
def test_streams_are_looked_at_through_a_pipe(
    fails: Fails, stream: Path, spool: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    of_pipe = pipe(stream.read_bytes(), command, "-")
    of_file = pipe(b"", command, stream.as_uri())
    assert (of_pipe.exit_code, of_pipe.stderr) == (of_file.exit_code, of_file.stderr) == (0, "")
    assert of_pipe.stdout == of_file.stdout.replace(str(stream), "-")
    broken = pipe(b"no stream", command, "-")
    assert (broken.exit_code, broken.stdout) == (4, "")
    assert broken.stderr.startswith("error: -: ")
    assert list(spool.iterdir()) == []
    terminal = SimpleNamespace(stdin=SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr(spooling, "sys", terminal)
    assert "standard input is a terminal" in fails(2, command, "-")


def test_names_of_a_batch_may_come_through_a_pipe(picture: Path, tmp_path: Path) -> None:
    result = pipe(f"{picture}\n".encode(), "encode", "--files-from", "-", "-o", tmp_path / "out")
    assert result.exit_code == 0
    assert (tmp_path / "out" / "in.cdsr").exists()


def test_two_dashes_end_the_options(picture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(picture.parent)
    picture.rename("-v.png")
    assert pipe(b"", "encode", "--", "-v.png", "-q.cdsr").exit_code == 0
    assert cdsrcodec.info_file(Path("-q.cdsr")).width_px == 37


def test_json_beside_binary_output_is_wrong_usage(fails: Fails, picture: Path) -> None:
    message = fails(2, "encode", "--json", picture, "-")
    assert "both go to standard output" in message


@pytest.mark.parametrize(
    ("name", "args", "message"),
    [
        ("stdout", ["in", "-"], "no binary data to a terminal. hint: redirect it"),
        ("stdin", ["-", "out.cdsr"], "standard input is a terminal. hint: pipe a file in"),
    ],
)
def test_a_terminal_is_no_end_of_a_pipe(
    fails: Fails, monkeypatch: pytest.MonkeyPatch, name: str, args: list[str], message: str
) -> None:
    ends = {end: SimpleNamespace(isatty=lambda end=end: end == name) for end in ("stdin", "stdout")}
    monkeypatch.setattr(spooling, "sys", SimpleNamespace(**ends))
    assert message in fails(2, "encode", *args)


@pytest.mark.parametrize(
    ("ends", "message"),
    [
        (("-", "x.png"), "-: cannot be put into a temporary file: No space left on device."),
        (("in.cdsr", "-"), "-: cannot be written: No space left on device"),
    ],
)
def test_a_full_disk_at_an_end_of_a_pipe_is_one_line(
    stream: Path, monkeypatch: pytest.MonkeyPatch, ends: tuple[str, str], message: str
) -> None:
    def fill_disk(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.chdir(stream.parent)
    monkeypatch.setattr(shutil, "copyfileobj", fill_disk)
    result = pipe(b"", "decode", *ends)
    assert result.exit_code == 9
    assert result.stderr.startswith(f"error: {message}")
    assert len(result.stderr.splitlines()) == 1
    assert result.stdout_bytes == b""
    assert not Path("x.png").exists()


@pytest.mark.parametrize(
    ("args", "line"),
    [
        ("info - <&-", "-: cannot be read: Bad file descriptor"),
        ("encode --files-from - -o out <&-", "-: cannot be read: Bad file descriptor"),
        ("info x >&-", "standard output: cannot be written: Bad file descriptor"),
        ("completion zsh >&-", "standard output: cannot be written: Bad file descriptor"),
    ],
)
def test_a_stream_that_was_closed_is_one_line(
    stream: Path, tmp_path: Path, args: str, line: str
) -> None:
    stream.rename(tmp_path / "x")
    command = f"exec {shlex.quote(sys.executable)} -m cdsrcodec {args}"
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (9, f"error: {line}\n")
    assert done.stdout == ""
    assert list(tmp_path.glob("out*")) == []


def test_no_file_gets_the_number_of_a_stream_that_was_closed() -> None:
    script = (
        "import os, sys; from cdsrcodec.cli.standard_streams import open_missing_streams;"
        "open_missing_streams(); number = os.open(os.devnull, os.O_RDONLY);"
        "print('told', file=sys.stderr);"
        "inherited = all(map(os.get_inheritable, (0, 1, 2)));"
        "sys.exit(10 * inherited + number)"
    )
    command = ["sh", "-c", 'exec "$0" "$@" <&- >&- 2>&-', sys.executable, "-c", script]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == 13


def test_a_temporary_folder_that_cannot_be_made_is_one_line(stream: Path, spool: Path) -> None:
    spool.rmdir()
    result = pipe(stream.read_bytes(), "info", "-")
    assert (result.exit_code, result.stdout) == (9, "")
    assert result.stderr == (
        "error: no temporary folder can be made: No such file or directory. "
        "hint: TMPDIR names where\n"
    )


def test_a_reader_that_is_gone_ends_it_quietly(stream: Path) -> None:
    command = [sys.executable, "-m", "cdsrcodec", "decode", "--quiet", str(stream), "-"]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as decoding:
        assert decoding.stdout is not None
        decoding.stdout.close()
        assert decoding.stderr is not None
        stderr = decoding.stderr.read()
    assert decoding.returncode == 1
    assert stderr == ""
