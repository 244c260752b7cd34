"""The command line called in this process, a picture to feed it, and streams whole and broken."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rich.console
from click.testing import CliRunner, Result
from numpy.typing import NDArray
from PIL import Image

import cdsrcodec
from cdsrcodec.cli.main import cli
from cdsrcodec.container import Chunk, Stream, read_stream, write_stream

Run = Callable[..., Result]


@pytest.fixture(scope="session")
def pixels() -> NDArray[np.uint8]:
    """uint8 (23, 37, 3): ramps with a few edges; sides that no stride divides."""
    rows, columns = np.mgrid[0:23, 0:37]
    edges = 60 * ((rows // 8 + columns // 8) % 2)
    channels = [40 + 3 * columns + edges, 60 + 5 * rows, 190 - 2 * rows - 2 * columns]
    return np.asarray(np.stack(channels, axis=-1), dtype=np.uint8)


@pytest.fixture
def picture(tmp_path: Path, pixels: NDArray[np.uint8]) -> Path:
    path = tmp_path / "in.png"
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture(scope="session")
def stream_bytes(pixels: NDArray[np.uint8]) -> bytes:
    """The picture at quality 3."""
    return cdsrcodec.encode(pixels, quality=3.0, device="cpu")


@pytest.fixture
def stream(tmp_path: Path, stream_bytes: bytes) -> Path:
    path = tmp_path / "in.cdsr"
    path.write_bytes(stream_bytes)
    return path


def _run(*args: str | Path) -> Result:
    result = CliRunner().invoke(cli, [str(arg) for arg in args])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def run() -> Run:
    """Calls the command line with these arguments; a traceback fails the test."""
    return _run


@pytest.fixture
def fails(tmp_path: Path) -> Callable[..., str]:
    """Calls the command line with an exit code to expect and arguments; returns the error.

    One line on stderr, nothing on stdout, and no file of tmp_path made or changed.
    """

    def state() -> dict[Path, tuple[int, int]]:
        stats = {path: path.lstat() for path in tmp_path.rglob("*")}
        return {path: (stat.st_size, stat.st_mtime_ns) for path, stat in stats.items()}

    def check(exit_code: int, *args: str | Path) -> str:
        before = state()
        result = _run(*args)
        lines = result.stderr.splitlines()
        assert result.exit_code == exit_code, result.output
        assert len(lines) == 1
        assert lines[0].startswith("error: ")
        assert result.stdout == ""
        assert state() == before
        return lines[0].removeprefix("error: ")

    return check


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What is shown on a terminal of 120 columns."""
    shown = io.StringIO()
    real = rich.console.Console

    def console(**_: object) -> rich.console.Console:
        return real(file=shown, force_terminal=True, width=120, color_system=None)

    monkeypatch.setattr(rich.console, "Console", console)
    return shown


def _with_header(data: bytes, **fields: object) -> bytes:
    stream = read_stream(data)
    header = dataclasses.replace(stream.header, **fields)  # type: ignore[arg-type]
    return write_stream(dataclasses.replace(stream, header=header))


def _with_chunk(data: bytes, kind: bytes) -> bytes:
    stream = read_stream(data)
    return write_stream(Stream(stream.header, (Chunk(kind, b"abc"),), stream.payload))


@pytest.fixture
def with_header() -> Callable[..., bytes]:
    """Gives a stream another header field, as a keyword, and a right CRC."""
    return _with_header


@pytest.fixture
def with_chunk() -> Callable[[bytes, bytes], bytes]:
    """Gives a stream a chunk of this kind, of three bytes, and a right CRC."""
    return _with_chunk


# What is wrong with a stream -> exit code, a word of the message, how to break a good one.
BROKEN: dict[str, tuple[int, str, Callable[[bytes], bytes]]] = {
    "empty": (4, "", lambda _: b""),
    "three bytes": (4, "", lambda data: data[:3]),
    "wrong magic": (4, "", lambda data: b"\x89PN" + data[3:]),
    "a later version": (4, "version", lambda data: data[:3] + b"\x02" + data[4:]),
    "cut in its header": (4, "", lambda data: data[:14]),
    "cut short": (4, "", lambda data: data[:-5]),
    "a flipped bit": (4, "", lambda data: data[:-2] + bytes((data[-2] ^ 4,)) + data[-1:]),
    "an unknown critical chunk": (4, "ZZZZ", lambda data: _with_chunk(data, b"ZZZZ")),
    "too many pixels": (
        8,
        "limit",
        lambda data: _with_header(data, width_px=2**20, height_px=2**20),
    ),
}
# The same of streams that are well-formed, but of weights that are not here.
FOREIGN: dict[str, tuple[int, str, Callable[[bytes], bytes]]] = {
    "an unknown model": (5, "model 200", lambda data: _with_header(data, model_id=200)),
    "another tag": (5, "deadbeef", lambda d: _with_header(d, entropy_tag=b"\xde\xad\xbe\xef")),
    "a model that is not installed": (5, "pull", lambda data: _with_header(data, model_id=3)),
}


def _broken_file(name: str, folder: Path, stream_bytes: bytes) -> tuple[Path, int, str]:
    exit_code, word, breaks = (BROKEN | FOREIGN)[name]
    path = folder / "broken.cdsr"
    path.write_bytes(breaks(stream_bytes))
    return path, exit_code, word


@pytest.fixture(params=BROKEN)
def broken(
    request: pytest.FixtureRequest, tmp_path: Path, stream_bytes: bytes
) -> tuple[Path, int, str]:
    """A stream that its header or bytes give away: the file, its exit code, a word of the error."""
    return _broken_file(request.param, tmp_path, stream_bytes)


@pytest.fixture(params=FOREIGN)
def foreign(
    request: pytest.FixtureRequest, tmp_path: Path, stream_bytes: bytes
) -> tuple[Path, int, str]:
    """A stream of weights that are not here: the file, and what decoding it says, as of broken."""
    return _broken_file(request.param, tmp_path, stream_bytes)


@pytest.fixture(params=BROKEN | FOREIGN)
def undecodable(
    request: pytest.FixtureRequest, tmp_path: Path, stream_bytes: bytes
) -> tuple[Path, int, str]:
    """Either of them."""
    return _broken_file(request.param, tmp_path, stream_bytes)
