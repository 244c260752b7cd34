from __future__ import annotations

from pathlib import Path

import pytest

from cdsrcodec.errors import InputImageError
from cdsrcodec.evaluation.pictures import find_images


def test_images_are_found_by_name_and_other_files_left_out(picture_folder: Path) -> None:
    assert [path.name for path in find_images(picture_folder)] == ["a.png", "b.PNG"]


def test_a_folder_without_images_is_an_error_that_names_it(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(InputImageError, match=f"^{folder}: not a folder with pictures. hint:"):
            find_images(folder)
