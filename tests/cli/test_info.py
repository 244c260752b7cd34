"""cdsrcodec info: what a stream says about itself, for people and for programs."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

import cdsrcodec

Run = Callable[..., Result]
Fails = Callable[..., str]


def test_the_text_has_a_line_for_each_fact(run: Run, stream: Path, stream_bytes: bytes) -> None:
    facts = cdsrcodec.info(stream_bytes)
    result = run("info", stream)
    assert result.exit_code == 0
    assert result.stderr == ""
    assert result.stdout.splitlines() == [
        f"format      version {facts.version}",
        f"codec       cdsr1 (model 1, entropy tag {facts.entropy_tag})",
        "weights     installed",
        "quality     3",
        "size        37x23 px",
        f"file        {len(stream_bytes)} bytes, {facts.bpp:.3f} bpp",
        f"header      {facts.header_bytes} bytes",
        f"payload     {facts.payload_bytes} bytes",
    ]


def test_json_is_the_record_of_the_api(run: Run, stream: Path, stream_bytes: bytes) -> None:
    result = run("info", "--json", stream)
    assert result.exit_code == 0
    expected = dataclasses.asdict(cdsrcodec.info(stream_bytes)) | {"chunks": []}
    assert json.loads(result.stdout) == expected


def test_several_files_have_their_names_before_what_one_file_would_tell(
    run: Run, stream: Path, tmp_path: Path
) -> None:
    alone = run("info", stream).stdout.splitlines()
    missing = tmp_path / "missing.cdsr"
    result = run("info", stream, missing, stream)
    assert result.exit_code == 9
    assert result.stderr.startswith(f"error: {missing}: ")
    assert result.stdout.splitlines() == [f"{stream}:", *(f"  {line}" for line in alone)] * 2


def test_json_of_several_files_is_a_line_for_each_with_its_name(run: Run, stream: Path) -> None:
    facts = {"input": str(stream), **json.loads(run("info", "--json", stream).stdout)}
    for words, count in (((stream, stream), 2), (("-r", stream.parent), 1)):
        result = run("info", "--json", *words)
        assert (result.exit_code, result.stderr) == (0, "")
        assert [json.loads(line) for line in result.stdout.splitlines()] == [facts] * count


def test_chunks_are_listed(
    run: Run, stream: Path, stream_bytes: bytes, with_chunk: Callable[[bytes, bytes], bytes]
) -> None:
    stream.write_bytes(with_chunk(stream_bytes, b"exif"))
    assert run("info", stream).stdout.splitlines()[-1] == "chunk       exif, 3 bytes"
    listed = json.loads(run("info", "--json", stream).stdout)["chunks"]
    assert listed == [{"kind": "exif", "data_bytes": 3, "critical": False}]


def test_a_stream_of_weights_that_are_not_here_is_shown_with_what_decoding_would_say(
    run: Run, foreign: tuple[Path, int, str], stream_bytes: bytes
) -> None:
    path, exit_code, _ = foreign
    error = run("verify", path)
    assert error.exit_code == exit_code == 5
    reason = error.stderr.removeprefix(f"error: {path}: ").rstrip("\n")
    result = run("info", path)
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[2] == f"weights     not here: {reason}"
    assert lines[4] == "size        37x23 px"
    facts = json.loads(run("info", "--json", path).stdout)
    assert (facts["installed"], facts["weights_error"]) == (False, reason)
    assert facts["stream_bytes"] == len(stream_bytes)


@pytest.mark.parametrize(
    ("model_id", "name", "in_words"),
    [
        (200, None, "unknown to this version"),
        (2, "bmshj2018-hyperprior", "bmshj2018-hyperprior"),
    ],
)
def test_the_codec_is_named_by_its_number_alone(
    run: Run, stream: Path, stream_bytes: bytes, with_header: Callable[..., bytes],
    model_id: int, name: str | None, in_words: str,
) -> None:  # fmt: skip
    stream.write_bytes(with_header(stream_bytes, model_id=model_id))
    assert f"codec       {in_words} (model {model_id}, " in run("info", stream).stdout
    assert json.loads(run("info", "--json", stream).stdout)["codec"] == name


def test_a_broken_stream_is_refused(fails: Fails, broken: tuple[Path, int, str]) -> None:
    path, exit_code, word = broken
    message = fails(exit_code, "info", path)
    assert message.startswith(f"{path}: ")
    assert word in message


@pytest.mark.parametrize("name", [".", "missing.cdsr"])
def test_what_is_no_file_is_an_access_error(fails: Fails, tmp_path: Path, name: str) -> None:
    assert str(tmp_path) in fails(9, "info", tmp_path / name)
