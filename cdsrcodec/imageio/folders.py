"""Folders: of photographs, to train on or to compare codecs over, and of outputs."""

from __future__ import annotations

from pathlib import Path, PurePath

from cdsrcodec.errors import FileAccessError

IMAGE_SUFFIXES = {".avif", ".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
"""Of formats that photographs are in; suffixes.PICTURE_SUFFIXES are all that can be read."""


def is_picture(place: PurePath) -> bool:
    """Whether a place below a folder is that of a picture by its extension, and not hidden.

    `._cat.jpg` is what macOS puts beside `cat.jpg` on other disks, and no picture.
    """
    is_hidden = any(part.startswith(".") for part in place.parts)
    return place.suffix.lower() in IMAGE_SUFFIXES and not is_hidden


def check_folder(folder: Path) -> None:
    """Refuse a folder that cannot be listed: a search below it would just find nothing.

    Raises:
        FileAccessError: it is missing, may not be read or is no folder.
    """
    try:
        next(folder.iterdir(), None)
    except OSError as error:
        raise FileAccessError(f"{folder}: cannot be read: {error.strerror}") from error


def make_folder(folder: Path) -> None:
    """Make a folder and what it lies in, where they are not there yet.

    Raises:
        FileAccessError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileAccessError(
            f"{folder}: cannot be made: {error.strerror}. hint: name another one"
        ) from error
