from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from cdsrcodec.errors import FileAccessError, InputImageError, LimitError
from cdsrcodec.evaluation.sweep import exit_code, find_images, run_sweep


@dataclass(frozen=True)
class Row:
    image: str
    number: int
    mean: float


def measure(image: str, x: NDArray[np.uint8]) -> Iterator[Row]:
    yield Row(image, 1, float(x.mean()))
    yield Row(image, 2, 1 / 3)


def test_images_are_found_by_name_and_other_files_left_out(picture_folder: Path) -> None:
    assert [path.name for path in find_images(picture_folder)] == ["a.png", "b.PNG"]


def test_a_folder_without_images_is_an_error_that_names_it(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(InputImageError, match=f"^{folder}: not a folder with pictures. hint:"):
            find_images(folder)


def test_sweep_writes_a_row_a_measurement_and_tells_of_each_picture(
    picture_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out.tsv"
    rows = run_sweep(picture_folder, output, measure)
    assert [(row.image, row.number) for row in rows] == [
        ("a.png", 1), ("a.png", 2), ("b.PNG", 1), ("b.PNG", 2),
    ]  # fmt: skip
    lines = output.read_text().splitlines()
    assert lines[0] == "image\tnumber\tmean"
    assert lines[2] == "a.png\t2\t0.333333"
    assert len(lines) == 5
    out, err = capsys.readouterr()
    assert out == ""
    assert [line.split(": ")[0] for line in err.splitlines()] == ["1/2 a.png", "2/2 b.PNG"]


def test_finished_pictures_are_in_the_table_when_a_later_one_fails(
    picture_folder: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out.tsv"
    (picture_folder / "b.PNG").write_bytes(b"damaged")
    with pytest.raises(InputImageError, match=r"b\.PNG"):
        run_sweep(picture_folder, output, measure)
    assert [line.split("\t")[0] for line in output.read_text().splitlines()] == [
        "image", "a.png", "a.png",
    ]  # fmt: skip


def test_an_output_that_cannot_be_written_is_refused_before_any_work(
    picture_folder: Path, tmp_path: Path
) -> None:
    def refuse(image: str, x: NDArray[np.uint8]) -> Iterator[Row]:
        raise AssertionError(image)

    with pytest.raises(FileAccessError):
        run_sweep(picture_folder, tmp_path / "missing" / "out.tsv", refuse)


def test_exit_code_is_that_of_the_error_and_zero_without_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail() -> None:
        raise LimitError("too large. hint: use a smaller one")

    assert exit_code(lambda: None) == 0
    assert exit_code(fail) == 8
    assert capsys.readouterr().err == "error: too large. hint: use a smaller one\n"
