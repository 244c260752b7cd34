"""Coding overhead and the cost of integer networks, measured on one small picture."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from cdsrcodec.evaluation import overhead

SAMPLES = Path(__file__).resolve().parents[3] / "sample_images"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    with Image.open(SAMPLES / "cat.png") as picture:
        picture.crop((100, 40, 228, 136)).save(folder / "eye.png")
    return folder


def test_the_table_has_a_line_a_quality(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert overhead.main([str(folder), "--qualities", "1", "8"]) == 0
    header, low, high = capsys.readouterr().out.splitlines()
    names = header.split("\t")
    assert names[:2] == ["quality", "images"]
    assert low.split("\t")[:2] == ["1", "1"]
    assert high.split("\t")[:2] == ["8", "1"]
    assert len(low.split("\t")) == len(names)


def test_a_folder_without_pictures_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert overhead.main([str(tmp_path)]) == 3
    assert capsys.readouterr().err.startswith(f"error: {tmp_path}: not a folder with pictures")


def test_a_file_is_little_larger_than_its_symbols_cost(folder: Path) -> None:
    _, line = overhead.report(folder, [4.0])
    _, _, file_bytes, integer_bytes, _, over_bytes, integer_vs_float = line.split("\t")
    assert 23 <= float(over_bytes) <= 24 + 0.01 * float(integer_bytes) + 8
    assert float(file_bytes) > float(integer_bytes) > 100
    assert abs(float(integer_vs_float.removesuffix(" %"))) < 2


def test_the_line_of_known_costs() -> None:
    costs = [overhead.Cost(110, 100, 200), overhead.Cost(310, 300, 200)]
    line = overhead.summarise(2.5, costs)
    assert line == "2.5\t2\t420\t400\t+5.000 %\t10.0\t+0.000 %"
