"""Bad streams: each ends in the very error that docs/format.md names for it, and where."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import cdsrcodec
from cdsrcodec.container import read_stream
from cdsrcodec.errors import CdsrError, FormatError
from tests.conformance.make_bad import main as make_bad

HERE = Path(__file__).resolve().parent / "bad"
FORMAT = (HERE.parents[2] / "docs" / "format.md").read_text(encoding="utf-8")
EXPECTED: dict[str, dict[str, Any]] = json.loads((HERE / "expected.json").read_text("utf-8"))
# Up to here the container sees it, without a model and without looking into a chunk.
LAST_CONTAINER_STEP = 13


@pytest.mark.parametrize("name", EXPECTED)
def test_a_bad_file_ends_in_its_error(name: str) -> None:
    expected = EXPECTED[name]
    data = (HERE / name).read_bytes()
    with pytest.raises(CdsrError) as caught:
        cdsrcodec.decode(data, device="cpu")
    assert type(caught.value).__name__ == expected["error"] == name.split("__")[0]
    assert caught.value.exit_code == expected["exit_code"]
    assert "\n" not in str(caught.value)
    if isinstance(caught.value, FormatError):
        assert 0 <= caught.value.offset <= len(data)


@pytest.mark.parametrize("name", EXPECTED)
def test_the_container_finds_what_it_must(name: str) -> None:
    data, expected = (HERE / name).read_bytes(), EXPECTED[name]
    if expected["step"] > LAST_CONTAINER_STEP:
        assert read_stream(data).payload is not None
        return
    with pytest.raises(CdsrError) as caught:
        read_stream(data)
    assert type(caught.value).__name__ == expected["error"]


def test_every_error_of_every_step_has_a_file() -> None:
    table = FORMAT.split("## What a reader checks")[1].split("\n## ")[0]
    documented = {
        (int(step), error)
        for step, errors in re.findall(r"^\| (\d+) \|.*\| ([^|]*) \|$", table, re.MULTILINE)
        for error in re.findall(r"\w+Error", errors)
    }
    covered = {(expected["step"], expected["error"]) for expected in EXPECTED.values()}
    assert len(documented) >= 16
    assert documented <= covered
    of_chunks = FORMAT.split("\n## Chunks")[1].split("\n### ")[0]
    assert covered - documented == {(12, error) for error in re.findall(r"\w+Error", of_chunks)}


def test_the_files_are_those_that_the_generator_writes(tmp_path: Path) -> None:
    make_bad(tmp_path)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {
        p.name: p.read_bytes() for p in HERE.iterdir()
    }
