"""Sheets of crops: their layout, and what is in them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cdsrcodec.evaluation import crops
from cdsrcodec.evaluation.showcase import CAPTION_PX, GAP_PX

SIDE = 48


def test_a_sheet_has_a_row_a_quality_and_a_column_an_upscaler(
    picture: Callable[..., NDArray[np.uint8]],
) -> None:
    x = picture(64, 96)
    sheet = np.asarray(crops.compose(x, [1, 8], ["bicubic", "lanczos"], SIDE)).astype(int)
    assert sheet.shape == (2 * (SIDE + CAPTION_PX) + GAP_PX, 3 * SIDE + 2 * GAP_PX, 3)
    panels = [
        [
            sheet[top + CAPTION_PX : top + CAPTION_PX + SIDE, left : left + SIDE]
            for left in (0, SIDE + GAP_PX, 2 * (SIDE + GAP_PX))
        ]
        for top in (0, SIDE + CAPTION_PX + GAP_PX)
    ]
    originals = [row[0] for row in panels]
    assert np.array_equal(originals[0], originals[1])
    assert any(
        np.array_equal(originals[0], x[top : top + SIDE, left : left + SIDE])
        for top in range(17) for left in range(49)
    )  # fmt: skip
    errors = [[np.abs(p - row[0]).mean() for p in row[1:]] for row in panels]
    assert 0 < max(errors[1]) < min(errors[0]), "quality 8 is nearer to the original"
    assert not np.array_equal(panels[0][1], panels[0][2])


def test_a_folder_becomes_sheets_of_what_can_run_here(
    tmp_path: Path, picture: Callable[..., NDArray[np.uint8]], capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    for name in ("a", "b", "c"):
        Image.fromarray(picture(34, 50)).save(tmp_path / f"{name}.png")
    monkeypatch.setattr(
        crops, "missing_enlarger", lambda name, weights: "no" if name == "edsr" else None
    )
    arguments = ["--qualities", "2", "--upscalers", "edsr", "bicubic", "--crop", "32"]
    target = tmp_path / "sheets"
    assert crops.main([str(tmp_path), "-o", str(target), *arguments, "--count", "2"]) == 0
    assert sorted(file.name for file in target.iterdir()) == ["a.webp", "b.webp"]
    with Image.open(target / "a.webp") as sheet:
        assert sheet.size == (2 * 32 + GAP_PX, 32 + CAPTION_PX)
    told = capsys.readouterr()
    assert told.err == "edsr: left out, no\n"
    assert told.out.startswith(f"{target / 'a.webp'}: ")


@pytest.mark.parametrize("option", [("--qualities", "9"), ("--crop", "0"), ("--count", "-1")])
def test_numbers_out_of_range_are_wrong_usage(tmp_path: Path, option: tuple[str, str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        crops.main([str(tmp_path), "-o", str(tmp_path / "x"), *option])


def test_a_folder_without_pictures_is_an_error(tmp_path: Path) -> None:
    assert crops.main([str(tmp_path), "-o", str(tmp_path / "x"), "--upscalers", "bicubic"]) == 3
