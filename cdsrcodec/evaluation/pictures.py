"""The pictures of a folder."""

from __future__ import annotations

from pathlib import Path

from cdsrcodec.errors import InputImageError
from cdsrcodec.imageio.folders import IMAGE_SUFFIXES, check_folder, is_picture


def find_images(folder: Path) -> list[Path]:
    """The pictures of a folder, by name, no hidden ones; subfolders are not searched.

    Raises:
        FileAccessError: it is missing, may not be read or is no folder.
        InputImageError: it has none.
    """
    check_folder(folder)
    paths = sorted(p for p in folder.iterdir() if is_picture(p.relative_to(folder)))
    if not paths:
        raise InputImageError(
            f"{folder}: not a folder with pictures. hint: {', '.join(sorted(IMAGE_SUFFIXES))}"
        )
    return paths
