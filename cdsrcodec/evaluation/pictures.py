"""The pictures of a folder."""

from __future__ import annotations

from pathlib import Path

from cdsrcodec.errors import InputImageError
from cdsrcodec.training.patches import IMAGE_SUFFIXES


def find_images(folder: Path) -> list[Path]:
    """The pictures of a folder, by name; subfolders are not searched.

    Raises:
        InputImageError: it has none, or is no folder.
    """
    files = folder.iterdir() if folder.is_dir() else ()
    paths = sorted(p for p in files if p.suffix.lower() in IMAGE_SUFFIXES)
    if not paths:
        raise InputImageError(
            f"{folder}: not a folder with pictures. hint: {', '.join(sorted(IMAGE_SUFFIXES))}"
        )
    return paths
