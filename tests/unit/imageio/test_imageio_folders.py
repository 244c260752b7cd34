"""Folders of outputs: made where they are missing, or one line that says why not."""

from __future__ import annotations

from pathlib import Path

import pytest

from cdsrcodec.errors import FileAccessError
from cdsrcodec.imageio.folders import make_folder


def test_a_folder_is_made_with_its_parents_and_may_be_there(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    make_folder(folder)
    make_folder(folder)
    assert folder.is_dir()


def test_a_folder_that_is_a_file_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    with pytest.raises(FileAccessError, match=r"cannot be made: File exists\. hint: name"):
        make_folder(path)
