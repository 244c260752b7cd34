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


def test_chunks_are_listed(
    run: Run, stream: Path, stream_bytes: bytes, with_chunk: Callable[[bytes, bytes], bytes]
) -> None:
    stream.write_bytes(with_chunk(stream_bytes, b"exif"))
    assert run("info", stream).stdout.splitlines()[-1] == "chunk       exif, 3 bytes"
    listed = json.loads(run("info", "--json", stream).stdout)["chunks"]
    assert listed == [{"kind": "exif", "data_bytes": 3, "critical": False}]


def test_a_broken_stream_is_refused(fails: Fails, broken: tuple[Path, int, str]) -> None:
    path, exit_code, word = broken
    message = fails(exit_code, "info", path)
    assert message.startswith(f"{path}: ")
    assert word in message


@pytest.mark.parametrize("name", [".", "missing.cdsr"])
def test_what_is_no_file_is_an_access_error(fails: Fails, tmp_path: Path, name: str) -> None:
    assert str(tmp_path) in fails(9, "info", tmp_path / name)
