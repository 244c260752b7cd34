"""The sheet of panels in the README."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cdsrcodec.evaluation import showcase

CROP_PX = (8, 4, 40, 28)


def test_panels_show_the_crop_four_times_as_large(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    picture = Image.fromarray(rng.integers(0, 256, (32, 48, 3), dtype=np.uint8))
    picture.save(tmp_path / "in.png")
    crop = [str(side) for side in CROP_PX]
    arguments = [str(tmp_path / "in.png"), str(tmp_path / "out.png"), "--crop", *crop]
    assert showcase.main(arguments) == 0
    with Image.open(tmp_path / "out.png") as sheet:
        assert sheet.size == (3 * 128 + 2 * showcase.GAP_PX, 96 + showcase.CAPTION_PX)
        first = np.asarray(sheet)[showcase.CAPTION_PX :, :128]
    expected = np.asarray(picture.crop(CROP_PX)).repeat(4, axis=0).repeat(4, axis=1)
    np.testing.assert_array_equal(first, expected)


def test_a_missing_picture_ends_with_the_code_of_its_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = tmp_path / "missing.png"
    assert showcase.main([str(missing), str(tmp_path / "out.png")]) == 9
    assert capsys.readouterr().err.startswith(f"error: {missing}: ")
