"""Exif tags of TIFF files, which keep them in the directory of the picture itself.

Of that directory only tags that describe the picture are taken over, in either direction:
the others are about the samples of one file.
"""

from __future__ import annotations

from typing import Any

from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from cdsrcodec.imageio.exif import point_to

# Document and picture description, maker, model, software, date, artist, host, copyright, XP*.
_DESCRIPTIVE_TAGS = frozenset(
    {0x010D, 0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x013C, 0x8298}
    | set(range(0x9C9B, 0x9CA0))
)
_SUB_DIRECTORIES = (0x8769, 0x8825)  # Exif, GPS
_INTEROPERABILITY_TAG = 0xA005  # a pointer to a third directory
_XMP_TAG = 0x02BC


def descriptive_tags(tags: Image.Exif) -> dict[int, Any]:
    """Values by tag; those of the Exif and GPS directories as dictionaries."""
    described = {tag: tags[tag] for tag in sorted(_DESCRIPTIVE_TAGS & set(tags))}
    for tag in _SUB_DIRECTORIES:
        directory = dict(tags.get_ifd(tag))
        directory.pop(_INTEROPERABILITY_TAG, None)
        if directory:
            described[tag] = directory
    return described


def directory_of(exif: bytes | None, xmp: bytes | None) -> ImageFileDirectory_v2:
    """What Pillow is to write into a TIFF file as `tiffinfo`.

    The Exif and GPS directories are left to link_directories: libtiff, which writes all
    compressed files, would drop them.
    """
    directory = ImageFileDirectory_v2()
    for tag, value in _tags_of(exif).items():
        directory[tag] = 0 if isinstance(value, dict) else value
    if xmp is not None:
        directory[_XMP_TAG] = xmp
    return directory


def link_directories(tiff: bytes, exif: bytes | None) -> bytes | bytearray:
    """A TIFF file that was written with directory_of(exif), completed; itself where it is whole."""
    directories = {tag: value for tag, value in _tags_of(exif).items() if isinstance(value, dict)}
    if not directories:
        return tiff
    linked = bytearray(tiff)  # the one copy: files are large
    for tag, value in directories.items():
        directory = ImageFileDirectory_v2(tiff[:4] + bytes(4), group=tag)
        for field, field_value in value.items():
            directory[field] = field_value
        linked += bytes(len(linked) % 2)
        point_to(linked, tag, len(linked))
        linked += directory.tobytes(len(linked))
    return linked


def _tags_of(exif: bytes | None) -> dict[int, Any]:
    if exif is None:
        return {}
    tags = Image.Exif()
    tags.load(exif)
    return descriptive_tags(tags)
