"""Options for large pictures: --max-memory, --precision, and the bar of one long file."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import Result
from numpy.typing import NDArray
from PIL import Image

from cdsrcodec.cli.steps import steps_display
from cdsrcodec.layers.tiling import run_tiled

Run = Callable[..., Result]
Fails = Callable[..., str]
LITTLE = "890MB"


@pytest.mark.parametrize(
    "words",
    [("encode",), ("decode",), ("decode", "--sr", "4"), ("upscale",)],
    ids=" ".join,
)
def test_too_little_memory_is_one_line_with_what_would_do(
    fails: Fails, run: Run, picture: Path, stream: Path, tmp_path: Path, words: tuple[str, ...]
) -> None:
    source = stream if words[0] == "decode" else picture
    target = tmp_path / ("out.cdsr" if words[0] == "encode" else "out.png")
    line = fails(8, *words, "--max-memory", "100MB", source, target)
    found = re.search(r"100 MB of memory are too few .* hint: --max-memory (\d+MB) is", line)
    assert found
    assert run(*words, "--max-memory", found[1], source, target).exit_code == 0
    assert target.exists()


def test_a_picture_that_is_interrupted_among_its_tiles_leaves_nothing(
    fails: Fails, stream: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("cdsrcodec.codec.painting.run_tiled", interrupt)
    words = ("decode", "--sr", "4", stream, tmp_path / "out.png")
    assert fails(130, *words) == "interrupted"


@pytest.fixture
def wide_stream(run: Run, picture: Path, tmp_path: Path) -> Path:
    """300x24 px: one tile, or three of the smallest."""
    with Image.open(picture) as image:
        image.resize((300, 24)).save(tmp_path / "wide.png")
    assert run("encode", tmp_path / "wide.png", tmp_path / "wide.cdsr").exit_code == 0
    return tmp_path / "wide.cdsr"


def test_a_limit_of_memory_gives_the_same_picture_in_smaller_tiles(
    run: Run, wide_stream: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cores = []

    def counting(*args: object, core: int, **settings: object) -> None:
        cores.append(core)
        run_tiled(*args, core=core, **settings)  # type: ignore[arg-type]

    monkeypatch.setattr("cdsrcodec.codec.painting.run_tiled", counting)
    pictures: list[NDArray[np.int_]] = []
    for options in [(), ("--max-memory", LITTLE)]:
        target = tmp_path / f"{len(pictures)}.png"
        assert run("decode", *options, wide_stream, target).exit_code == 0
        with Image.open(target) as image:
            pictures.append(np.asarray(image).astype(int))
    assert cores == [96, 8]
    assert pictures[0].shape == (24, 300, 3)
    assert np.abs(pictures[1] - pictures[0]).max() <= 1


def test_memory_that_runs_out_in_the_encoder_is_one_line(
    fails: Fails, run: Run, picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_out(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("cdsrcodec.models.cdsr1.Encoder.to_hyper", run_out)
    words = ("encode", picture, tmp_path / "out.cdsr")
    assert fails(1, *words) == "out of memory. hint: a smaller picture needs less"
    outcome = json.loads(run("encode", "--json", *words[1:]).stdout)
    assert outcome["error"] == "MemoryError"
    assert not (tmp_path / "out.cdsr").exists()


@pytest.mark.parametrize(
    "words",
    [
        ("decode", "--precision", "bf16"),
        ("decode", "--sr", "4", "--upscaler", "lanczos", "--precision", "auto"),
        ("upscale", "--precision", "fp32"),
        ("upscale", "--upscaler", "bicubic", "--precision", "fp32"),
    ],
    ids=" ".join,
)
def test_a_precision_that_nothing_heeds_is_wrong_usage(
    fails: Fails, stream: Path, tmp_path: Path, words: tuple[str, ...]
) -> None:
    line = fails(2, *words, stream, tmp_path / "out.png")
    assert line.startswith("--precision belongs to an --upscaler that is a network, at 4x")


def test_both_precisions_give_about_the_same_picture(
    run: Run, stream: Path, tmp_path: Path
) -> None:
    pictures = []
    for precision in ("fp32", "bf16"):
        target = tmp_path / f"{precision}.png"
        words = ("decode", "--sr", "4", "--precision", precision)
        assert run(*words, stream, target).exit_code == 0
        with Image.open(target) as image:
            pictures.append(np.asarray(image).astype(int))
    assert 0 < np.abs(pictures[0] - pictures[1]).mean() < 1


def test_a_bar_shows_the_steps_of_one_file(terminal: io.StringIO) -> None:
    with steps_display("enlarging", is_shown=True) as on_step:
        assert on_step is not None
        on_step(1, 6)
        on_step(2, 6)
    assert re.search(r"enlarging .* 2/6", terminal.getvalue())


def test_work_of_one_step_has_no_bar(terminal: io.StringIO) -> None:
    with steps_display("enlarging", is_shown=True) as on_step:
        assert on_step is not None
        on_step(1, 1)
    assert terminal.getvalue().strip() == ""


def test_there_is_no_bar_off_a_terminal_or_where_none_is_wanted(terminal: io.StringIO) -> None:
    with steps_display("enlarging", is_shown=False) as on_step:
        assert on_step is None
    assert terminal.getvalue() == ""


def test_no_bar_without_a_terminal() -> None:
    with steps_display("enlarging", is_shown=True) as on_step:
        assert on_step is None


def test_tiles_move_the_bar_of_decode(
    run: Run, wide_stream: Path, terminal: io.StringIO, tmp_path: Path
) -> None:
    assert terminal.getvalue() == ""
    words = ("decode", "--max-memory", LITTLE, wide_stream, tmp_path / "out.png")
    assert run(*words).exit_code == 0
    assert re.search(r"decoding .* 3/3", terminal.getvalue())
    assert run(*words[:3], "--quiet", words[3], tmp_path / "other.png").exit_code == 0
