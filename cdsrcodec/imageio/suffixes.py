"""Extensions of picture files, known without Pillow."""

from __future__ import annotations

from pathlib import PurePath

# Of files that Pillow reads: what is taken for a picture in a folder.
PICTURE_SUFFIXES = frozenset({
    ".apng", ".avif", ".avifs", ".bmp", ".dds", ".dib", ".gif", ".icns", ".ico", ".j2k", ".jfif",
    ".jp2", ".jpe", ".jpeg", ".jpf", ".jpg", ".jpx", ".mpo", ".pbm", ".pcx", ".pgm", ".png",
    ".pnm", ".ppm", ".psd", ".qoi", ".sgi", ".tga", ".tif", ".tiff", ".webp", ".xbm", ".xpm",
})  # fmt: skip
# Of pictures that cannot be read here, and are somebody's only copy all the same.
UNREADABLE_SUFFIXES = frozenset({
    ".arw", ".cr2", ".cr3", ".dng", ".exr", ".hdr", ".heic", ".heif", ".hif", ".jxl", ".nef",
    ".orf", ".pef", ".psb", ".raf", ".rw2", ".srw", ".svg", ".xcf",
})  # fmt: skip


def check_stream_name(target: PurePath | str) -> None:
    """Refuse a picture's name for a stream: `*.png` may have named two photographs.

    Raises:
        ValueError: the extension is that of a picture format.
    """
    if PurePath(target).suffix.lower() in PICTURE_SUFFIXES | UNREADABLE_SUFFIXES:
        raise ValueError(
            f"{target}: the name of a picture, but a .cdsr file is to be written. "
            "hint: name it .cdsr; many pictures need -o DIR"
        )
