"""The pictures of a folder."""

from __future__ import annotations

from pathlib import Path

from cdsrcodec.errors import InputImageError
from cdsrcodec.training.patches import IMAGE_SUFFIXES, check_folder


def find_images(folder: Path) -> list[Path]:
    """The pictures of a folder, by name; subfolders are not searched.

    Raises:
        FileAccessError: it is missing, may not be read or is no folder.
        InputImageError: it has none.
    """
    check_folder(folder)
    paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES)
    if not paths:
        raise InputImageError(
            f"{folder}: not a folder with pictures. hint: {', '.join(sorted(IMAGE_SUFFIXES))}"
        )
    return paths
