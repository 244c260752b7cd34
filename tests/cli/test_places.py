"""Inputs and outputs behind URLs, of which fsspec keeps those of memory:// in this process."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path, PurePath

import pytest
from click.testing import Result
from fsspec.implementations.memory import MemoryFileSystem

import cdsrcodec
from cdsrcodec.cli.places import Url, parse_place
from tests.zoo_server import ZooServer

Run = Callable[..., Result]
Fails = Callable[..., str]


@pytest.fixture
def memory() -> Iterator[MemoryFileSystem]:
    """An empty file system; all of them are one."""
    system = MemoryFileSystem()
    yield system
    system.store.clear()
    system.pseudo_dirs[:] = [""]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("cat.png", Path("cat.png")),
        ("C://cat.png", Path("C://cat.png")),
        ("file:///a b/cat.png", Path("/a b/cat.png")),
        ("file:///a%20b/%C3%BC%2523.png", Path("/a b/ü%23.png")),
        ("FILE://LocalHost/a/cat.png", Path("/a/cat.png")),
        ("file:///a/cat#1?.png", Path("/a/cat#1?.png")),
        ("s3://shots/cat.png", Url("s3://shots/cat.png")),
        ("S3://shots//cat.png", Url("S3://shots//cat.png")),
    ],
)
def test_a_url_has_a_scheme_and_that_of_a_file_is_its_path(text: str, place: Path | Url) -> None:
    assert parse_place(text) == place


@pytest.mark.parametrize("url", ["file://server/a.png", "file://a.png", "file:///a%00.png"])
def test_a_file_url_of_another_machine_is_wrong_usage(fails: Fails, url: str) -> None:
    message = fails(2, "encode", url, "out.cdsr")
    assert message.endswith(f"{url}: no file of this machine. hint: file:///FOLDER/NAME")


def test_a_url_has_the_parts_of_a_path() -> None:
    url = Url("s3://shots/trip/cat.v2.png")
    assert (url.name, url.stem, url.suffix) == ("cat.v2.png", "cat.v2", ".png")
    assert str(url.parent) == "s3://shots/trip"
    assert url.parent.parent.name == "shots"
    assert url.parent / PurePath("x/y.png") == Url("s3://shots/trip/x/y.png")
    root = Url("memory://")
    assert root / PurePath() / "y.png" == Url("memory://y.png")
    assert (root / "y.png").parent == root
    assert root.name == ""


def test_a_url_that_cannot_be_looked_at_is_a_failure_among_others(
    run: Run, picture: Path, tmp_path: Path
) -> None:
    result = run("encode", "-r", "nowhere://x", picture, "-o", tmp_path / "out")
    assert result.exit_code == 9
    lines = result.stderr.splitlines()
    assert lines[0].startswith("error: nowhere://x: cannot be read: ")
    assert lines[2:] == ["1 encoded, 1 failed", "failed: nowhere://x"]


def test_a_file_may_be_called_as_the_pipe_is(
    run: Run, picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("encode", picture, "./-").exit_code == 0
    assert cdsrcodec.verify_file(tmp_path / "-").width_px == 37
    assert run("decode", "./-", "back.png").exit_code == 0


@pytest.mark.parametrize("command", ["encode", "decode", "upscale"])
def test_an_output_with_a_slash_at_its_end_is_no_file(
    fails: Fails, command: str, tmp_path: Path
) -> None:
    (tmp_path / "there.png").mkdir()
    new, there = f"{tmp_path}/new.png/", f"{tmp_path}/there.png/"
    hint = f"hint: create it, or use -o {tmp_path}/new.png"
    assert fails(9, command, "-f", "in", new) == f"{new}: no such folder. {hint}"
    assert fails(9, command, "-f", "in", there) == f"{there}: a directory. hint: name a file in it"


def test_a_url_with_a_slash_at_its_end_is_no_file(
    fails: Fails, memory: MemoryFileSystem, picture: Path
) -> None:
    assert fails(9, "encode", picture, "memory://new/").startswith("memory://new/: no such folder")
    assert memory.find("/") == []


def test_a_folder_goes_from_url_to_url_and_back(
    run: Run, memory: MemoryFileSystem, picture: Path, tmp_path: Path
) -> None:
    for name in ("a.png", "trip/b.png", "trip/notes.txt", ".hidden/c.png"):
        memory.pipe_file(f"/photos/{name}", picture.read_bytes())
    encoded = run("encode", "-r", "memory://photos", "-o", "memory://small")
    assert encoded.exit_code == 0, encoded.output
    lines = encoded.stderr.splitlines()
    assert lines[0].startswith("memory://small/a.cdsr: 37x23 px, ")
    assert lines[-1] == "2 encoded"
    assert memory.find("/small") == ["/small/a.cdsr", "/small/trip/b.cdsr"]
    decoded = run("decode", "-r", "memory://small", "-o", tmp_path / "big", "--format", "bmp")
    assert decoded.exit_code == 0
    assert (tmp_path / "big" / "trip" / "b.bmp").stat().st_size > 37 * 23 * 3


def test_what_a_batch_put_into_the_folder_of_its_inputs_is_not_enlarged_again(
    run: Run, memory: MemoryFileSystem, picture: Path
) -> None:
    memory.pipe_file("/photos/a.png", picture.read_bytes())
    command = ("upscale", "-r", "memory://photos", "-o", "memory://photos/big", "--skip-existing")
    assert run(*command).stderr.splitlines()[-1] == "1 enlarged"
    assert run(*command).stderr.splitlines()[-1] == "0 enlarged, 1 skipped"
    assert memory.find("/photos") == ["/photos/a.png", "/photos/big/a.png"]


def test_one_file_may_be_at_a_url_at_either_end(
    run: Run, memory: MemoryFileSystem, picture: Path, tmp_path: Path
) -> None:
    assert run("encode", picture, "memory://x.cdsr").exit_code == 0
    assert run("decode", "memory://x.cdsr", tmp_path / "x.png").exit_code == 0
    assert run("decode", "memory://x.cdsr", "memory://x.webp").exit_code == 0
    assert memory.cat_file("/x.webp")[8:12] == b"WEBP"
    assert run("decode", "memory://x.cdsr", "-").stdout_bytes.startswith(b"\x89PNG")


def test_what_exists_at_a_url_is_kept_skipped_or_replaced(
    run: Run, memory: MemoryFileSystem, picture: Path
) -> None:
    memory.pipe_file("/small/in.cdsr", b"older")
    kept = run("encode", picture, "-o", "memory://small")
    assert kept.exit_code == 7
    assert kept.stderr.splitlines()[0] == (
        "error: memory://small/in.cdsr: exists already. hint: -f replaces it"
    )
    skipped = run("encode", picture, "-o", "memory://small", "--skip-existing", "--json")
    assert json.loads(skipped.stdout)["status"] == "skipped"
    assert memory.cat_file("/small/in.cdsr") == b"older"
    assert run("encode", picture, "-o", "memory://small", "-f").exit_code == 0
    assert cdsrcodec.info(memory.cat_file("/small/in.cdsr")).width_px == 37


@pytest.mark.parametrize("force", [[], ["-f"]])
def test_of_two_runs_with_one_url_the_later_one_needs_force(
    run: Run,
    memory: MemoryFileSystem,
    picture: Path,
    monkeypatch: pytest.MonkeyPatch,
    force: list[str],
) -> None:
    upload = MemoryFileSystem.put_file

    def upload_late(self: MemoryFileSystem, source: str, target: str) -> None:
        self.pipe_file("/x.cdsr", b"of the other run")
        upload(self, source, target)

    monkeypatch.setattr(MemoryFileSystem, "put_file", upload_late)
    result = run("encode", *force, picture, "memory://x.cdsr")
    assert memory.find("/") == ["/x.cdsr"]
    if force:
        assert result.exit_code == 0
        assert cdsrcodec.info(memory.cat_file("/x.cdsr")).width_px == 37
    else:
        assert result.exit_code == 7
        assert result.stderr == "error: memory://x.cdsr: exists already. hint: -f replaces it\n"
        assert memory.cat_file("/x.cdsr") == b"of the other run"


@pytest.mark.parametrize("step", ["put_file", "mv"])
def test_an_upload_that_fails_is_one_line_and_leaves_nothing(
    run: Run,
    memory: MemoryFileSystem,
    picture: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
) -> None:
    def fail(self: MemoryFileSystem, _source: str, target: str) -> None:
        if step == "put_file":
            self.pipe_file(target, b"a par")
        raise RuntimeError("the line\nis dead")

    monkeypatch.setattr(MemoryFileSystem, step, fail)
    result = run("encode", picture, "memory://x.cdsr")
    assert result.exit_code == 9
    assert result.stderr == "error: memory://x.cdsr: cannot be written: the line is dead\n"
    assert memory.find("/") == []


def test_what_is_wrong_with_a_fetched_file_is_said_of_its_url(
    run: Run, memory: MemoryFileSystem, tmp_path: Path
) -> None:
    memory.pipe_file("/bad.cdsr", b"no stream")
    result = run("decode", "memory://bad.cdsr", tmp_path / "x.png")
    assert result.exit_code == 4
    assert result.stderr.startswith("error: memory://bad.cdsr: ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("memory://missing.png", "cannot be read: no such file"),
        ("nowhere://x.png", "cannot be read: "),
    ],
)
def test_a_url_that_leads_nowhere_is_an_access_error(
    fails: Fails, memory: MemoryFileSystem, tmp_path: Path, url: str, reason: str
) -> None:
    assert fails(9, "encode", url, tmp_path / "x.cdsr").startswith(f"{url}: {reason}")
    assert memory.find("/") == []


def test_the_input_is_never_replaced_at_a_url_either(
    run: Run, memory: MemoryFileSystem, picture: Path
) -> None:
    memory.pipe_file("/in.png", picture.read_bytes())
    result = run("upscale", "-f", "memory://in.png", "memory://in.png")
    assert result.exit_code == 7
    assert "the output is the input itself" in result.stderr
    assert memory.cat_file("/in.png") == picture.read_bytes()


def test_another_picture_at_a_url_is_not_taken_for_an_earlier_result(
    run: Run, memory: MemoryFileSystem, picture: Path
) -> None:
    memory.pipe_file("/out.png", picture.read_bytes())
    command = ("upscale", "-f", picture, "memory://out.png")
    result = run(*command)
    assert result.exit_code == 7
    message = f"error: memory://out.png: another picture, of 37x23 px, not an enlarged {picture}."
    assert result.stderr.startswith(message)
    assert memory.cat_file("/out.png") == picture.read_bytes()
    memory.rm_file("/out.png")
    for _ in range(2):  # a new result, and an earlier one
        assert run(*command).exit_code == 0


@pytest.mark.parametrize("words", [(), ("-f",)], ids=["new", "force"])
def test_an_output_on_a_web_server_is_refused_before_anything_is_asked(
    fails: Fails, zoo_server: ZooServer, picture: Path, words: tuple[str, ...]
) -> None:
    folder = f"{zoo_server.url}/small"
    reason = "cannot be written: files are only fetched from web servers. hint: name a file, or"
    file = f"{folder}/x.cdsr".replace("http", "HTTP", 1)
    assert fails(9, "encode", *words, picture, file).startswith(f"{file}: {reason}")
    assert fails(9, "encode", *words, picture, "-o", folder).startswith(f"{folder}: {reason}")
    assert zoo_server.requests == []


def test_what_a_web_server_says_is_told_in_its_words(fails: Fails, zoo_server: ZooServer) -> None:
    zoo_server.status, url = 403, f"{zoo_server.url}/x.cdsr"
    assert fails(9, "info", url) == f"{url}: cannot be read: the server says 403 Forbidden"


@pytest.mark.parametrize(
    ("words", "done"), [(("decode", "URL", "x.png"), "read"), (("decode", "x", "URL"), "reached")]
)
def test_a_kind_of_urls_that_needs_a_package_is_told_with_what_to_do(
    fails: Fails, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], done: str
) -> None:
    def need_package(_url: str) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr("fsspec.core.url_to_fs", need_package)
    url = "s3://shots/x.png"
    message = fails(9, *(url if word == "URL" else word for word in words))
    assert message == (
        f"{url}: cannot be {done}: Install s3fs to access S3. "
        "hint: pip install that, or let another program copy the file, as curl does"
    )


def test_two_inputs_of_one_url_are_wrong_usage(fails: Fails) -> None:
    urls = ("memory://a/x.png", "memory://b/x.png")
    for inputs in itertools.permutations(urls):
        message = fails(2, "encode", *inputs, "-o", "memory://out")
        assert message.startswith(f"{inputs[0]} and {inputs[1]} would both become memory://out/x")


def test_a_list_of_names_may_hold_urls(
    run: Run, memory: MemoryFileSystem, picture: Path, tmp_path: Path
) -> None:
    memory.pipe_file("/a.png", picture.read_bytes())
    names = tmp_path / "names.txt"
    names.write_text(f"memory://a.png\n{picture}\n")
    assert run("encode", "--files-from", names, "-o", "memory://out").exit_code == 0
    assert memory.find("/out") == ["/out/a.cdsr", "/out/in.cdsr"]


def test_info_and_verify_take_urls_and_name_them(
    run: Run, fails: Fails, memory: MemoryFileSystem, stream_bytes: bytes
) -> None:
    memory.pipe_file("/small/a.cdsr", stream_bytes)
    memory.pipe_file("/small/b.cdsr", stream_bytes[:-3])
    assert json.loads(run("info", "--json", "memory://small/a.cdsr").stdout)["width_px"] == 37
    assert run("verify", "memory://small/a.cdsr").stdout == "memory://small/a.cdsr: ok\n"
    for command in ("info", "verify"):
        assert fails(4, command, "memory://small/b.cdsr").startswith("memory://small/b.cdsr: ")
        missing = fails(9, command, "memory://small/c.cdsr")
        assert missing == "memory://small/c.cdsr: cannot be read: no such file"
