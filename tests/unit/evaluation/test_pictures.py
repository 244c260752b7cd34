from __future__ import annotations

from pathlib import Path

import pytest

from cdsrcodec.errors import FileAccessError, InputImageError
from cdsrcodec.evaluation.pictures import find_images


def test_images_are_found_by_name_and_other_files_left_out(picture_folder: Path) -> None:
    (picture_folder / "._a.png").write_bytes(b"what macOS leaves")
    assert [path.name for path in find_images(picture_folder)] == ["a.png", "b.PNG"]


def test_a_folder_without_images_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(InputImageError, match=f"^{tmp_path}: not a folder with pictures. hint:"):
        find_images(tmp_path)
    missing = tmp_path / "missing"
    with pytest.raises(FileAccessError, match=f"^{missing}: cannot be read: No such file or dir"):
        find_images(missing)
