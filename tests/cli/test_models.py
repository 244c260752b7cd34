from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from PIL import Image

from cdsrcodec.models.registry import CodecEntry
from cdsrcodec.zoo import compressai
from tests.zoo_server import ZooServer

Run = Callable[..., Result]
Fails = Callable[..., str]
CODEC = "bmshj2018-hyperprior"


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, zoo_server: ZooServer) -> Path:
    """Empty, with a zoo whose files are all the server's content."""
    monkeypatch.setenv("CDSRCODEC_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CDSRCODEC_ZOO_URL", zoo_server.url)
    return tmp_path / "home"


@pytest.fixture
def zoo(
    zoo_server: ZooServer, home: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> ZooServer:
    """The zoo with the checkpoint for each small quality of mse."""
    zoo_server.content = checkpoint.read_bytes()
    start = hashlib.sha256(zoo_server.content).hexdigest()[:8]
    monkeypatch.setitem(compressai._HASHES, "mse", (start,) * 5)
    return zoo_server


def objects(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_a_checkpoint_is_imported_listed_shown_used_and_removed(
    run: Run, home: Path, checkpoint: Path, picture: Path, tmp_path: Path
) -> None:
    result = run("models", "import", checkpoint, "--codec", CODEC, "-q", 4)
    assert result.exit_code == 0, result.output
    name, _, told = result.stderr.partition(": installed, ")
    assert told == "quality 4, mse, 19.0 MB\n"
    lines = run("models", "list").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["cdsr1", f"{CODEC}-gain", name]
    assert [line.split(",")[0].split(maxsplit=1)[1] for line in lines] == [
        "qualities 1 to 8",
        "qualities 1 to 6",
        "quality 4",
    ]
    *shipped, model = objects(run("models", "list", "--json"))
    assert [m["shipped"] for m in (*shipped, model)] == [True, True, False]
    assert (model["quality"], model["metric"], model["model_id"]) == (4, "mse", 2)
    assert model["name"] == name == f"{CODEC}-mse-4-{model['entropy_tag']}"
    assert objects(run("models", "show", name, "--json")) == [model]
    assert f"checkpoint        {checkpoint.name}\n" in run("models", "show", name).stdout
    assert Path(run("models", "path").stdout.strip()) == home / "models"
    stream, decoded = tmp_path / "x.cdsr", tmp_path / "x.png"
    assert run("encode", "--codec", CODEC, "-q", 4, picture, stream).exit_code == 0
    assert CODEC in run("info", stream).stdout
    assert run("verify", stream).exit_code == 0
    assert run("decode", stream, decoded).exit_code == 0
    with Image.open(decoded) as image:
        assert image.size == (37, 23)
    assert run("models", "remove", name).exit_code == 0
    assert objects(run("models", "list", "--json")) == shipped
    assert f"codec       {CODEC} (model 2, " in run("info", stream).stdout
    for command in (["verify", stream], ["decode", "-f", stream, decoded]):
        result = run(*command)
        assert result.exit_code == 5
        wanted = f"tag {model['entropy_tag']}, which are not installed. hint: cdsrcodec models pull"
        assert f"{wanted} {CODEC} -q 4 --metric mse" in result.stderr


@pytest.mark.parametrize("file", ["entropy", "encoder", "decoder"])
def test_damaged_weights_are_refused_and_can_be_removed(
    run: Run, fails: Fails, home: Path, hyperprior: CodecEntry, picture: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, file: str,
) -> None:  # fmt: skip
    stream = tmp_path / "x.cdsr"
    assert run("encode", "--codec", CODEC, "-q", 4, picture, stream).exit_code == 0
    folder = home / "models" / hyperprior.folder.name
    shutil.copytree(hyperprior.folder, folder)
    weights = folder / f"{file}.safetensors"
    data = bytearray(weights.read_bytes())
    data[-5] ^= 1  # of a tensor
    weights.write_bytes(data)
    monkeypatch.setenv("CDSRCODEC_HOME", str(home))
    wrong = f"{weights}: not the weights that were installed"
    mend = f"hint: cdsrcodec models remove {folder.name}, and pull or import it again"
    encode: tuple[Any, ...] = ("encode", "--codec", CODEC, "-q", 4, picture, tmp_path / "y.cdsr")
    decode: tuple[Any, ...] = ("decode", stream, tmp_path / "x.png")
    refused = {"entropy": [encode, decode], "encoder": [encode], "decoder": [decode]}[file]
    for command in refused:
        error = fails(5, *command)
        assert wrong in error
        assert error.endswith(mend)
    assert run("models", "remove", folder.name).exit_code == 0
    assert not folder.exists()


def test_models_are_pulled_once(run: Run, zoo: ZooServer) -> None:
    first = objects(run("models", "pull", CODEC, "-q", 2, "-q", 1, "--json"))
    assert [model["quality"] for model in first] == [1, 2]
    assert len(zoo.requests) == 2
    again = run("models", "pull", CODEC, "-q", 2)
    assert again.stderr.startswith(f"{first[1]['name']}: installed, quality 2")
    assert len(zoo.requests) == 2


def test_a_terminal_shows_what_has_come(
    run: Run, zoo: ZooServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # makes rich take any stream for a terminal
    assert f"{CODEC} 3 mse" in run("models", "pull", CODEC, "-q", 3).stderr
    monkeypatch.delenv("FORCE_COLOR")
    assert f"{CODEC} 4 mse" not in run("models", "pull", CODEC, "-q", 4).stderr
    assert len(zoo.requests) == 2


def test_a_pull_of_a_codec_that_is_in_the_package_says_which_can_be_pulled(run: Run) -> None:
    result = run("models", "pull", "cdsr1")
    assert result.exit_code == 2
    assert result.stderr.startswith(f"error: Invalid value for 'CODEC': 'cdsr1' is not '{CODEC}'.")


def test_a_pull_that_was_broken_off_goes_on(run: Run, zoo: ZooServer, home: Path) -> None:
    zoo.cut_bytes = 1_000_000
    result = run("models", "pull", CODEC, "-q", 4)
    assert result.exit_code == 9
    assert "broke off after 1000000 of " in result.stderr
    assert len(result.stderr.splitlines()) == 1
    zoo.cut_bytes = None
    assert run("models", "pull", CODEC, "-q", 4).exit_code == 0
    assert zoo.requests[1][1] == "bytes=1000000-"
    assert [path.suffix for path in (home / "downloads").iterdir()] == [".lock"]


@pytest.mark.usefixtures("home")
def test_a_pull_without_network_says_what_to_do(run: Run, zoo_server: ZooServer) -> None:
    zoo_server.status = 404
    result = run("models", "pull", CODEC, "--metric", "ms-ssim")
    assert result.exit_code == 9
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"error: {zoo_server.url}/{CODEC}-ms-ssim-1-5cf249be.pth.tar: the serv")
    assert line.endswith("or get the file elsewhere and cdsrcodec models import it")


@pytest.mark.usefixtures("home")
def test_wrong_bytes_are_not_installed(run: Run, zoo_server: ZooServer) -> None:
    zoo_server.content = b"other bytes"
    result = run("models", "pull", CODEC, "-q", 4)
    assert result.exit_code == 5
    assert "not the bytes that were published" in result.stderr
    assert [m["shipped"] for m in objects(run("models", "list", "--json"))] == [True, True]


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("exit_code", "words", "message"),
    [
        (5, ["show", "x"], "there is no model 'x'. hint: cdsrcodec models list"),
        (5, ["remove", "x"], "there is no model 'x'"),
        (5, ["remove", "cdsr1"], "cdsr1 is part of the package"),
        (5, ["import", "missing.pth", "--codec", CODEC, "-q", "4"], "cannot be read"),
        (2, ["import", "x.pth", "--codec", "cdsr1", "-q", "4"], "'cdsr1' is not"),
        (2, ["import", "x.pth", "--codec", CODEC, "-q", "9"], "9 is not in the range"),
        (2, ["pull", CODEC, "-q", "4.5"], "'4.5' is not a valid integer"),
        (2, ["pull", CODEC, "--metric", "vmaf"], "'vmaf' is not one of"),
    ],
    ids=str,
)
def test_wrong_words_are_refused(
    fails: Fails, exit_code: int, words: list[str], message: str
) -> None:
    assert message in fails(exit_code, "models", *words)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--codec", CODEC, "-q", "4.5"], "quality of bmshj2018-hyperprior must be a whole number"),
        (["--codec", CODEC, "--effort", "3"], "effort must be 0 with bmshj2018-hyperprior"),
        (["--metric", "ms-ssim"], "cdsr1 has weights for mse, not ms-ssim"),
        (["--codec", "jpeg"], "'jpeg' is not one of"),
    ],
)
def test_settings_that_a_codec_does_not_have_are_wrong_usage(
    fails: Fails, picture: Path, tmp_path: Path, words: list[str], message: str
) -> None:
    assert message in fails(2, "encode", *words, picture, tmp_path / "x.cdsr")


@pytest.mark.usefixtures("home")
def test_encoding_without_weights_says_how_to_get_them(
    fails: Fails, picture: Path, tmp_path: Path
) -> None:
    error = fails(5, "encode", "--codec", CODEC, "-q", 3, picture, tmp_path / "x.cdsr")
    assert error.endswith(
        f"hint: cdsrcodec models pull {CODEC} -q 3 --metric mse, or models import the checkpoint"
    )


def test_an_upscaler_of_another_latent_is_refused_with_those_that_fit(
    run: Run, fails: Fails, hyperprior: CodecEntry, picture: Path, tmp_path: Path
) -> None:
    stream, large = tmp_path / "x.cdsr", tmp_path / "x.png"
    assert run("encode", "--codec", hyperprior.name, picture, stream).exit_code == 0
    error = fails(5, "decode", "--sr", 4, stream, large)
    assert f"does not read files of {CODEC}. hint: use bicubic or lanczos or " in error
    assert run("decode", "--sr", 4, "--upscaler", "lanczos", stream, large).exit_code == 0
    with Image.open(large) as image:
        assert image.size == (148, 92)
