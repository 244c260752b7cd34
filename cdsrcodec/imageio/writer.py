"""Files that appear whole or not at all, and pictures in the format of their extension."""

from __future__ import annotations

import io
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from PIL import Image

from cdsrcodec.errors import (
    CdsrError,
    FileAccessError,
    InputImageError,
    LimitError,
    OutputExistsError,
)
from cdsrcodec.imageio.tagging import save_options
from cdsrcodec.imageio.tiff import link_directories

# Formats that keep an RGB picture, and how: exactly, or near the best they can.
# Palette, vector and icon formats, which Pillow would write too, do not.
_FORMATS = {
    ".avif": "AVIF", ".bmp": "BMP", ".jp2": "JPEG2000", ".jpeg": "JPEG", ".jpg": "JPEG",
    ".png": "PNG", ".ppm": "PPM", ".qoi": "QOI", ".tga": "TGA", ".tif": "TIFF",
    ".tiff": "TIFF", ".webp": "WEBP",
}  # fmt: skip
_SAVE_OPTIONS: dict[str, dict[str, Any]] = {
    "AVIF": {"quality": 90, "subsampling": "4:4:4"},
    "JPEG": {"quality": 95, "subsampling": "4:4:4"},
    "QOI": {"colorspace": "sRGB"},  # or its header says that all channels are linear
    "TIFF": {"compression": "tiff_deflate"},
    "WEBP": {"lossless": True},
}
# That of AVIF is what libavif agrees to read; it writes larger ones.
FORMAT_MAX_SIDE_PX = {"AVIF": 32_768, "JPEG": 65_500, "TGA": 65_535, "WEBP": 16_383}
# Pillow writes 32-bit BMP files too, whose fourth byte many programs take as padding.
_WITHOUT_ALPHA = {"BMP", "JPEG", "PPM"}
_COLOUR_ONLY = {"PPM", "QOI"}
_ACCESS = stat.S_IRWXU | stat.S_IRWXG | stat.S_IRWXO


def check_output(target: Path, source: Path | None, *, overwrite: bool) -> None:
    """Refuse an output that could not or should not be written, before any work is done.

    Args:
        target: the file to be written.
        source: the input file, which is never overwritten; None without one.
        overwrite: an existing file may be replaced.

    Raises:
        FileAccessError: a directory, a symbolic link, a device, a pipe, or in a folder that
            does not exist or is read-only.
        OutputExistsError: the input itself, or it exists and overwrite is False.
    """
    with _access_errors(target):
        if target.is_dir():
            raise FileAccessError(f"{target}: a directory. hint: name a file in it")
        exists = target.exists()
        if exists and source is not None and source.exists() and target.samefile(source):
            raise OutputExistsError(
                f"{target}: the output is the input itself. hint: name another file"
            )
        if exists and not target.is_file():
            raise FileAccessError(
                f"{target}: not a regular file. hint: name another one, or - for standard output"
            )
        if target.is_symlink():
            raise FileAccessError(
                f"{target}: a symbolic link, which is neither followed nor replaced. "
                "hint: name the file that it points to"
            )
        if exists and not overwrite:
            raise _exists_already(target)
        if not target.parent.is_dir():
            raise FileAccessError(f"{target}: no folder {target.parent}. hint: create it first")
        if not os.access(target.parent, os.W_OK | os.X_OK):
            raise FileAccessError(f"{target}: cannot be written: {target.parent} is read-only")


def output_format(path: Path) -> str:
    """Pillow's name of the format that the extension of `path` stands for.

    Raises:
        InputImageError: no such extension, or this Pillow was built without its encoder.
    """
    Image.init()
    writable = [suffix for suffix, name in _FORMATS.items() if name in Image.SAVE]
    suffix = path.suffix.lower()
    if suffix not in writable:
        raise InputImageError(
            f"{path}: no picture format for the extension '{path.suffix}'. "
            f"hint: one of {' '.join(writable)}"
        )
    return _FORMATS[suffix]


def check_size(target: Path, width_px: int, height_px: int) -> None:
    """Refuse a picture size that the format of `target` cannot hold.

    Raises:
        LimitError: a side is too long.
        InputImageError: no format for this extension.
    """
    name = output_format(target)
    max_side_px = FORMAT_MAX_SIDE_PX.get(name)
    if max_side_px is not None and max(width_px, height_px) > max_side_px:
        raise LimitError(
            f"{target}: {width_px}x{height_px} px, but {name} holds at most "
            f"{max_side_px} px a side. hint: write a .png"
        )


def check_alpha(target: Path) -> None:
    """Refuse a picture with transparent pixels that the format of `target` cannot hold.

    Raises:
        InputImageError: it has no alpha, or there is no format for this extension.
    """
    name = output_format(target)
    if name in _WITHOUT_ALPHA:
        raise InputImageError(
            f"{target}: the picture has transparent pixels, which {name} files cannot hold. "
            "hint: write a .png, .webp or .tif"
        )


def write_image(
    image: Image.Image, target: Path, *, like: Path | None = None, overwrite: bool = True
) -> tuple[str, ...]:
    """Write a picture in the format of the extension of `target`, atomically.

    PNG, WebP, TIFF, JPEG 2000, QOI, BMP, PPM and TGA are lossless; JPEG has
    quality 95 and AVIF 90, both without chroma subsampling.

    Args:
        image: mode L, LA, RGB or RGBA, any size that the format can hold. EXIF, XMP, ICC
            profile and resolution of its `info` are kept where the format can.
        target: written as `write_bytes` does.
        like: as `write_bytes`.
        overwrite: as `write_bytes`.

    Returns:
        A line for each part of the metadata that could not be written.

    Raises:
        InputImageError: no format for this extension, or one that has no alpha.
        LimitError: a side is too long for the format.
        OutputExistsError: as `write_bytes`.
        FileAccessError: the encoder gives up, or the file cannot be written.
    """
    check_size(target, image.width, image.height)
    has_alpha = image.has_transparency_data
    if has_alpha:
        check_alpha(target)
    name = output_format(target)
    if name in _COLOUR_ONLY:
        image = image.convert("RGBA" if has_alpha else "RGB")
    try:
        encoded, dropped = _encode_with_metadata(image, name)
    except (OSError, ValueError) as error:
        raise FileAccessError(
            f"{target}: the {name} encoder failed: {error}. hint: write a .png"
        ) from error
    write_bytes(encoded, target, like=like, overwrite=overwrite)
    return dropped


def _encode_with_metadata(
    image: Image.Image, name: str
) -> tuple[bytes | bytearray, tuple[str, ...]]:
    """The file, and what of the metadata is not in it."""
    dropped: list[str] = []
    if image.info:
        try:
            options, dropped = save_options(image.info, name)
            encoded = _encode(image, name, options)
            if name == "TIFF":
                return link_directories(encoded, image.info.get("exif")), tuple(dropped)
            return encoded, tuple(dropped)
        except MemoryError:
            raise
        except Exception as error:  # Pillow parses them again, and raises all there is
            reason = " ".join(str(error).split()) or type(error).__name__
            dropped.append(f"the metadata cannot be written to {name}: {reason}")
            # Its savers take the profile from the image itself.
            image = image.copy()
            image.info = {}
    return _encode(image, name, {}), tuple(dropped)


def _encode(image: Image.Image, name: str, metadata: dict[str, Any]) -> bytes:
    encoded = io.BytesIO()
    image.save(encoded, name, **_SAVE_OPTIONS.get(name, {}), **metadata)
    return encoded.getvalue()


def write_bytes(
    data: bytes | bytearray | memoryview,
    target: Path,
    *,
    like: Path | None = None,
    overwrite: bool = True,
) -> None:
    """Write a file so that it is there whole or not at all.

    The bytes go to a temporary file in the same folder, to the disk, and are
    renamed into place. Until then an existing file stays as it is, and whatever
    fails or interrupts leaves nothing behind. The permissions are those of the
    file that is replaced, otherwise those that any new file gets.

    Args:
        data: all of the file.
        target: the file; a symbolic link of this name is replaced, not followed.
        like: a file whose permissions and times to take over instead.
        overwrite: replace what has this name, even if it came up only now.

    Raises:
        OutputExistsError: there is something of this name, and overwrite is False.
        FileAccessError: no permission, no space, no such folder.
    """
    attributes = None if like is None else _attributes_of(like)
    with _access_errors(target):
        temporary = target.with_name(f".cdsr-{secrets.token_hex(8)}.part")
        try:
            with temporary.open("xb") as file:
                # Before there is anything to read, so that nobody reads what is private.
                if attributes is not None:
                    _take_permissions(attributes, temporary)
                elif target.exists():
                    _take_permissions(target.stat(), temporary)
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            if attributes is not None:
                os.utime(temporary, ns=(attributes.st_atime_ns, attributes.st_mtime_ns))
            if overwrite:
                temporary.replace(target)
            else:
                _place_as_new(temporary, target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def _place_as_new(temporary: Path, target: Path) -> None:
    """Give a file its name, unless there is something of this name."""
    try:
        # Unlike a rename it replaces nothing, whoever else may be writing that file.
        os.link(temporary, target)
    except FileExistsError as error:
        raise _exists_already(target) from error
    except OSError:  # FAT and some shares have no hard links; the rename says what else is wrong
        if os.path.lexists(target):
            raise _exists_already(target) from None
        temporary.replace(target)
    else:
        temporary.unlink()


def _exists_already(target: Path) -> OutputExistsError:
    return OutputExistsError(f"{target}: exists already. hint: -f replaces it")


def _attributes_of(like: Path) -> os.stat_result:
    """Permissions and times of a file, which may have been removed since it was read."""
    try:
        return like.stat()
    except OSError as error:
        raise FileAccessError(
            f"{like}: its permissions and time cannot be read: {error.strerror}"
        ) from error


def _take_permissions(attributes: os.stat_result, temporary: Path) -> None:
    """Copy who may read, write and run it, as far as the file system knows: FAT and shares refuse.

    Not whose rights it is run with, for the owner may be another one.
    """
    with suppress(PermissionError):
        temporary.chmod(attributes.st_mode & _ACCESS)


@contextmanager
def _access_errors(path: Path) -> Iterator[None]:
    """Turn the operating system's errors about `path` into FileAccessError."""
    try:
        yield
    except CdsrError:
        raise
    except OSError as error:
        raise FileAccessError(f"{path}: cannot be written: {error.strerror}") from error
