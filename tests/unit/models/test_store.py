from __future__ import annotations

import errno
from pathlib import Path

import pytest

from cdsrcodec.errors import FileAccessError
from cdsrcodec.models import installing, store


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("CDSRCODEC_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def put(model: str, text: str) -> Path:
    with installing.new_folder() as folder:
        (folder / "file").write_text(text)
        return installing.install(folder, model)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"CDSRCODEC_HOME": "/a", "XDG_DATA_HOME": "/b"}, "/a"),
        ({"CDSRCODEC_HOME": "", "XDG_DATA_HOME": "/b"}, "/b/cdsrcodec"),
        ({"CDSRCODEC_HOME": "", "XDG_DATA_HOME": "b"}, "/user/.local/share/cdsrcodec"),
        ({"CDSRCODEC_HOME": "", "XDG_DATA_HOME": ""}, "/user/.local/share/cdsrcodec"),
    ],
)
def test_the_home_is_where_the_variables_say(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: str
) -> None:
    monkeypatch.setenv("HOME", "/user")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert store.home_folder() == Path(expected)


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CDSRCODEC_HOME", "XDG_DATA_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.getuid", lambda: 2**31 - 2)  # nobody that a list of users has
    with pytest.raises(FileAccessError, match=r"no home folder is known\. hint: CDSRCODEC_HOME"):
        store.home_folder()


def test_models_are_installed_listed_and_removed_as_wholes() -> None:
    assert store.installed_folders() == []
    paths = [put("b", "1"), put("a", "2")]
    assert store.installed_folders() == sorted(paths)
    assert (paths[0] / "file").read_text() == "1"
    installing.remove("b")
    assert store.installed_folders() == [paths[1]]


def test_a_model_of_the_same_name_gives_way(home: Path) -> None:
    put("a", "old")
    path = put("a", "new")
    assert (path / "file").read_text() == "new"
    assert list((home / "models").iterdir()) == [path]


def test_the_same_files_are_left_where_they_are(home: Path) -> None:
    before = put("a", "same").stat().st_ino
    assert put("a", "same").stat().st_ino == before
    assert len(list((home / "models").iterdir())) == 1


@pytest.mark.parametrize("failure", [OSError(errno.EIO, "Input/output error"), KeyboardInterrupt()])
def test_a_model_whose_successor_cannot_be_installed_stays(
    home: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException
) -> None:
    rename = Path.rename

    def fail(path: Path, target: Path) -> Path:
        if path.name.startswith(".new-"):
            raise failure
        return rename(path, target)

    path = put("a", "old")
    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises((FileAccessError, KeyboardInterrupt)):
        put("a", "new")
    assert (path / "file").read_text() == "old"
    assert list((home / "models").iterdir()) == [path]


@pytest.mark.parametrize("installed_before", [False, True])
def test_a_model_that_another_process_installs_meanwhile_is_a_success(
    home: Path, monkeypatch: pytest.MonkeyPatch, installed_before: bool
) -> None:
    rename = Path.rename

    def come_second(path: Path, target: Path) -> Path:
        if path.name.startswith(".new-"):
            target.mkdir()
            (target / "file").write_text("of the other process")
        return rename(path, target)

    if installed_before:
        put("a", "damaged")
    monkeypatch.setattr(Path, "rename", come_second)
    path = put("a", "ours")
    assert (path / "file").read_text() == "of the other process"
    assert list((home / "models").iterdir()) == [path]


def test_what_fails_halfway_leaves_nothing(home: Path) -> None:
    def fail() -> None:
        with installing.new_folder() as folder:
            (folder / "file").write_text("half")
            assert store.installed_folders() == []
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert list((home / "models").iterdir()) == []


def test_a_home_that_is_no_folder_is_named(home: Path) -> None:
    home.write_text("a file")
    with pytest.raises(FileAccessError, match=r"home/models.*cannot be written.*CDSRCODEC_HOME"):
        put("a", "1")
    with pytest.raises(FileAccessError, match=r"home/models: cannot be read.*CDSRCODEC_HOME"):
        store.installed_folders()


def test_removing_what_is_not_there_is_an_error() -> None:
    with pytest.raises(FileAccessError, match="cannot be removed"):
        installing.remove("a")
