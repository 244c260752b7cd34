from __future__ import annotations

import hashlib
import socket
from pathlib import Path

import pytest

from cdsrcodec.errors import FileAccessError, ModelError
from cdsrcodec.zoo import download
from cdsrcodec.zoo.download import fetch
from tests.zoo_server import ZooServer

CONTENT = bytes(range(256)) * 4000  # more than a block
START = hashlib.sha256(CONTENT).hexdigest()[:8]


@pytest.fixture(autouse=True)
def content(zoo_server: ZooServer) -> None:
    zoo_server.content = CONTENT


def get(zoo_server: ZooServer, folder: Path) -> list[tuple[int, int]]:
    """Fetch the file; gives what was told on the way."""
    told: list[tuple[int, int]] = []
    url = f"{zoo_server.url}/x.pth"
    fetch(url, folder / "x", sha256_start=START, on_progress=lambda *numbers: told.append(numbers))
    return told


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_comes_whole_and_its_bytes_are_told(zoo_server: ZooServer, tmp_path: Path) -> None:
    told = get(zoo_server, tmp_path)
    assert (tmp_path / "x").read_bytes() == CONTENT
    assert names(tmp_path) == ["x"]
    assert zoo_server.requests == [("/x.pth", None)]
    assert len(told) > 1
    assert told == sorted(told)
    assert told[-1] == (len(CONTENT), len(CONTENT))


def test_a_broken_connection_is_told_and_the_next_call_goes_on(
    zoo_server: ZooServer, tmp_path: Path
) -> None:
    zoo_server.cut_bytes = 300_000
    with pytest.raises(
        FileAccessError, match=r"broke off after 300000 of 1024000 bytes\. hint: th"
    ):
        get(zoo_server, tmp_path)
    assert names(tmp_path) == ["x.part"]
    zoo_server.cut_bytes = None
    assert get(zoo_server, tmp_path)[0][0] > 300_000
    assert zoo_server.requests[-1] == ("/x.pth", "bytes=300000-")
    assert (tmp_path / "x").read_bytes() == CONTENT
    assert names(tmp_path) == ["x"]


def test_a_server_that_ignores_the_range_gives_the_file_from_its_start(
    zoo_server: ZooServer, tmp_path: Path
) -> None:
    (tmp_path / "x.part").write_bytes(b"something else")
    zoo_server.ignores_range = True
    get(zoo_server, tmp_path)
    assert (tmp_path / "x").read_bytes() == CONTENT


def test_a_part_that_is_whole_already_is_taken(zoo_server: ZooServer, tmp_path: Path) -> None:
    (tmp_path / "x.part").write_bytes(CONTENT)
    assert get(zoo_server, tmp_path) == []
    assert (tmp_path / "x").read_bytes() == CONTENT


def test_a_target_that_is_there_is_left_only_if_it_is_right(
    zoo_server: ZooServer, tmp_path: Path
) -> None:
    (tmp_path / "x").write_bytes(CONTENT)
    assert get(zoo_server, tmp_path) == []
    assert zoo_server.requests == []
    (tmp_path / "x").write_bytes(CONTENT[:-1])
    get(zoo_server, tmp_path)
    assert (tmp_path / "x").read_bytes() == CONTENT
    assert len(zoo_server.requests) == 1


@pytest.mark.parametrize("stale", [b"other", b"too long" + CONTENT])
def test_other_bytes_are_not_kept_and_the_next_call_begins_anew(
    zoo_server: ZooServer, tmp_path: Path, stale: bytes
) -> None:
    (tmp_path / "x.part").write_bytes(stale)
    with pytest.raises(
        ModelError, match=rf"x\.pth: not the bytes .* begins with \w+, not {START}\."
    ):
        get(zoo_server, tmp_path)
    assert names(tmp_path) == []
    get(zoo_server, tmp_path)
    assert (tmp_path / "x").read_bytes() == CONTENT


@pytest.mark.parametrize("status", [403, 404, 500, 503])
def test_a_refusal_is_told_with_its_number(
    zoo_server: ZooServer, tmp_path: Path, status: int
) -> None:
    zoo_server.status = status
    with pytest.raises(FileAccessError, match=rf"x\.pth: the server says {status} .*models import"):
        get(zoo_server, tmp_path)
    assert names(tmp_path) == []


def test_a_slow_server_is_given_up_in_time(
    zoo_server: ZooServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "TIMEOUT_S", 0.1)
    zoo_server.delay_s = 20.0
    with pytest.raises(FileAccessError, match=r"x\.pth: cannot be fetched: timed out\. hint"):
        get(zoo_server, tmp_path)


def test_a_server_that_is_not_there_is_named_in_one_line(
    zoo_server: ZooServer, tmp_path: Path
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        zoo_server.url = f"http://127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(
            FileAccessError, match=r"/x\.pth: cannot be fetched: .*refused"
        ) as caught:
            get(zoo_server, tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://.org/models", "http://a..b", "http://localhost/modèles"])
def test_a_server_that_has_no_such_name_is_told_in_one_line(
    zoo_server: ZooServer, tmp_path: Path, url: str
) -> None:
    zoo_server.url = url
    with pytest.raises(FileAccessError, match=r"cannot be fetched: .* hint: ") as caught:
        get(zoo_server, tmp_path)
    assert "\n" not in str(caught.value)


def test_a_size_that_is_not_told_or_too_large_is_refused(
    zoo_server: ZooServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zoo_server.tells_length = False
    with pytest.raises(FileAccessError, match="does not tell the size"):
        get(zoo_server, tmp_path)
    zoo_server.tells_length = True
    monkeypatch.setattr(download, "MAX_BYTES", len(CONTENT) - 1)
    with pytest.raises(FileAccessError, match="1024000 bytes are no model"):
        get(zoo_server, tmp_path)
    assert not (tmp_path / "x").exists()


def test_a_folder_that_is_not_there_is_an_error(zoo_server: ZooServer, tmp_path: Path) -> None:
    with pytest.raises(FileAccessError, match="No such file"):
        get(zoo_server, tmp_path / "missing")
