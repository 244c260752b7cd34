from __future__ import annotations

import errno
import hashlib
import io
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import pytest
import torch

from cdsrcodec.errors import FileAccessError, ModelError
from cdsrcodec.models import installing, store
from cdsrcodec.models.registry import CodecEntry, installed
from cdsrcodec.zoo import compressai
from cdsrcodec.zoo.compressai import ZooFile, installed_from, pull, zoo_files
from cdsrcodec.zoo.importing import import_checkpoint
from cdsrcodec.zoo.origin import ORIGIN_FILE, Origin, origin_of
from tests.zoo_server import ZooServer

HYPERPRIOR = "bmshj2018-hyperprior"


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, zoo_server: ZooServer) -> Path:
    monkeypatch.setenv("CDSRCODEC_HOME", str(tmp_path))
    monkeypatch.setenv("CDSRCODEC_ZOO_URL", f"{zoo_server.url}/v1/")
    return tmp_path


def published(zoo_server: ZooServer, content: bytes) -> ZooFile:
    zoo_server.content = content
    start = hashlib.sha256(content).hexdigest()[:8]
    return ZooFile(f"{HYPERPRIOR}-4-{start}.pth.tar", start, 4, "mse")


def downloads(home: Path) -> list[str]:
    return sorted(path.name for path in (home / "downloads").iterdir())


def test_the_files_are_those_of_the_zoo() -> None:
    from compressai.zoo.image import model_urls

    for metric, urls in model_urls[HYPERPRIOR].items():
        files = zoo_files(metric)
        assert [file.quality for file in files] == list(urls) == list(range(1, 9))
        ours = [f"{compressai.DEFAULT_URL}/{file.name}" for file in files]
        assert ours == list(urls.values())
        assert all(file.name.endswith(f"-{file.sha256_start}.pth.tar") for file in files)
    with pytest.raises(ValueError, match="mse and ms-ssim, not vmaf"):
        zoo_files("vmaf")


def test_a_published_checkpoint_becomes_a_model(
    zoo_server: ZooServer, home: Path, checkpoint: Path
) -> None:
    file = published(zoo_server, checkpoint.read_bytes())
    assert installed_from(file) is None
    entry = pull(file)
    assert zoo_server.requests == [(f"/v1/{file.name}", None)]
    assert installed_from(file) == entry == installed()[0]
    assert downloads(home) == [f"{file.name}.lock"]
    origin = origin_of(entry)
    assert origin.file == file.name
    assert origin.sha256 is not None
    assert origin.sha256.startswith(file.sha256_start)
    # The same checkpoint by another way is the same model.
    assert import_checkpoint(checkpoint, HYPERPRIOR, 4, "mse") == entry
    assert import_checkpoint(checkpoint, HYPERPRIOR, cast("int", 4.0), "mse") == entry
    assert len(installed()) == 1


@pytest.mark.usefixtures("home")
def test_two_who_pull_one_model_fetch_it_once(zoo_server: ZooServer, checkpoint: Path) -> None:
    file = published(zoo_server, checkpoint.read_bytes())
    zoo_server.delay_s = 0.3
    with ThreadPoolExecutor(2) as crew:
        entries = list(crew.map(pull, [file, file]))
    assert entries == installed() * 2
    assert len(zoo_server.requests) == 1


def test_what_a_killed_pull_has_left_is_gone_on_with(
    zoo_server: ZooServer, home: Path, checkpoint: Path
) -> None:
    file = published(zoo_server, checkpoint.read_bytes())
    (home / "downloads").mkdir()
    (home / "downloads" / f"{file.name}.lock").touch()
    (home / "downloads" / f"{file.name}.part").write_bytes(zoo_server.content[:1000])
    assert installed() == [] != [pull(file)] == installed()
    assert zoo_server.requests == [(f"/v1/{file.name}", "bytes=1000-")]


def test_what_could_not_be_stored_is_not_downloaded_again(
    zoo_server: ZooServer, home: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill_disk(_folder: Path, _model: str) -> Path:
        raise OSError(errno.ENOSPC, "No space left on device")

    file = published(zoo_server, checkpoint.read_bytes())
    with monkeypatch.context() as patch:
        patch.setattr(installing, "install", fill_disk)
        with pytest.raises(FileAccessError, match="No space left on device"):
            pull(file)
    assert downloads(home) == [file.name, f"{file.name}.lock"]
    assert [pull(file)] == installed()
    assert downloads(home) == [f"{file.name}.lock"]
    assert len(zoo_server.requests) == 1


def test_a_checkpoint_that_is_gone_after_the_import_is_no_failure(
    zoo_server: ZooServer, home: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def import_and_remove(path: Path, *settings: Any) -> CodecEntry:  # noqa: ANN401
        path.unlink()
        return import_checkpoint(checkpoint, *settings)

    monkeypatch.setattr(compressai, "import_checkpoint", import_and_remove)
    assert pull(published(zoo_server, checkpoint.read_bytes())) == installed()[0]


def test_a_published_file_that_is_no_checkpoint_leaves_nothing(
    zoo_server: ZooServer, home: Path
) -> None:
    buffer = io.BytesIO()
    torch.save({"a": torch.zeros(1)}, buffer)
    with pytest.raises(ModelError, match="not a checkpoint"):
        pull(published(zoo_server, buffer.getvalue()))
    assert installed() == []
    left = [path.suffix for path in home.rglob("*") if path.is_file()]
    assert left == [".lock"]


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("address", ["file:///etc", "http://[half"])
def test_an_address_that_is_none_is_refused(
    zoo_server: ZooServer, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("CDSRCODEC_ZOO_URL", address)
    with pytest.raises(ModelError, match=re.escape(f"CDSRCODEC_ZOO_URL={address}: not an address")):
        pull(published(zoo_server, b""))


def test_a_home_that_cannot_be_made_is_named(zoo_server: ZooServer, home: Path) -> None:
    (home / "downloads").write_text("a file")
    with pytest.raises(FileAccessError, match=r"downloads: cannot be made.*CDSRCODEC_HOME"):
        pull(published(zoo_server, b""))


@pytest.mark.usefixtures("home")
def test_an_interrupted_import_leaves_no_model(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(folder: Path, model: str) -> Path:
        assert len(list(folder.iterdir())) == 4
        raise KeyboardInterrupt

    monkeypatch.setattr(installing, "install", fail)
    with pytest.raises(KeyboardInterrupt):
        import_checkpoint(checkpoint, HYPERPRIOR, 4, "mse")
    assert list(store.models_folder().iterdir()) == []


@pytest.mark.usefixtures("home")
def test_settings_that_no_checkpoint_has_are_refused(checkpoint: Path) -> None:
    for codec, quality, metric in (
        (HYPERPRIOR, 9, "mse"),
        (HYPERPRIOR, 4, "vmaf"),
        ("cdsr1", 4, "mse"),
    ):
        with pytest.raises(ValueError, match=r"quality must|weights"):
            import_checkpoint(checkpoint, codec, quality, metric)


@pytest.mark.usefixtures("home")
def test_a_model_whose_origin_is_lost_is_as_good(checkpoint: Path) -> None:
    entry = import_checkpoint(checkpoint, HYPERPRIOR, 4, "ms-ssim")
    assert entry.model_id == 3
    for text in ("[1]", "{", '{"file": 3}'):
        (entry.folder / ORIGIN_FILE).write_text(text)
        assert origin_of(entry) == Origin()
    (entry.folder / ORIGIN_FILE).unlink()
    assert origin_of(entry) == Origin()
    assert installed() == [entry]
