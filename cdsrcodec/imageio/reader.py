"""Any picture that Pillow reads: upright 8-bit sRGB pixels, alpha plane and metadata."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from cdsrcodec.errors import CdsrError, FileAccessError, InputImageError, LimitError, about
from cdsrcodec.imageio.alpha import bleed, split_alpha
from cdsrcodec.imageio.colour import is_restorable, reduce_to_8_bit, to_srgb
from cdsrcodec.imageio.metadata import MAX_BLOCK_BYTES, Metadata, read_metadata
from cdsrcodec.imageio.parsing import parser_errors
from cdsrcodec.imageio.png import load_whole

# EXIF orientation -> what makes the picture upright; 1 and anything unknown: nothing.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Those of them that exchange width and height.
_ON_ITS_SIDE = {5, 6, 7, 8}
# Pillow's modes -> colour model and bits per sample of what is coded of them.
_SOURCES = {
    "1": ("L", 1), "L": ("L", 8), "LA": ("L", 8), "La": ("L", 8), "I": ("L", 16), "F": ("L", 32),
    "P": ("P", 8), "PA": ("P", 8), "CMYK": ("CMYK", 8), "YCbCr": ("YCbCr", 8), "LAB": ("LAB", 8),
    "HSV": ("HSV", 8),
}  # fmt: skip
_GREY_16 = ("L", 16)  # I;16 and its byte orders
_PLAIN = ("RGB", 8)
# Drawings, which Pillow has Ghostscript or Windows run, and data that it knows but cannot read.
_NO_PICTURES = {"BUFR", "EPS", "GRIB", "HDF5", "WMF"}
# MAGIC of container.header, which stands beside this. With the plug-in loaded, Pillow would open
# .cdsr files as pictures.
OWN_MAGIC = b"\xcdSR"


@dataclass(frozen=True)
class Picture:
    """What is coded of a picture, and what is kept beside it.

    Attributes:
        pixels: uint8 (H, W, 3), sRGB, upright.
        alpha: uint8 (H, W); None where all is opaque.
        model: colour model of the source: L, RGB, P, CMYK, YCbCr, LAB or HSV.
        bits: per sample of the source: 1, 8, 16 or 32.
        metadata: Exif, XMP, resolution, and the ICC profile where it is to be restored.
        full_size_px: width and height before `reduce_picture`; None if it was not reduced.
        warnings: a line for each part of the metadata that was dropped as broken.
    """

    pixels: NDArray[np.uint8]
    alpha: NDArray[np.uint8] | None = None
    model: str = _PLAIN[0]
    bits: int = _PLAIN[1]
    metadata: Metadata = field(default_factory=Metadata)
    full_size_px: tuple[int, int] | None = None
    warnings: tuple[str, ...] = ()


def read_picture(path: Path, *, max_pixels: int) -> Picture:
    """A picture file, as `to_picture` makes it.

    Args:
        path: a file in any format that Pillow reads, or a pipe that gives one.
        max_pixels: largest width x height, checked before pixels are decoded.

    Raises:
        FileAccessError: a directory; the file is missing, may not be read, or is on a device
            that fails; of a pipe, no room for its bytes.
        InputImageError: not an image, damaged, animated, or refused by `to_picture`.
        LimitError: more than max_pixels, or more than Pillow agrees to open.
    """
    with _open_seekable(path) as file, about(path):
        return to_picture(_open_single(file, max_pixels))


def read_size(path: Path) -> tuple[int, int]:
    """Width and height in pixels as they are stored, not upright, by the header of a file.

    Raises:
        FileAccessError, InputImageError, LimitError: as read_picture, as far as the header tells.
    """
    with _open_seekable(path) as file, about(path), parser_errors():
        return Image.open(file).size


def _open_seekable(path: Path) -> BinaryIO:
    """A file to jump in, as Pillow does; of a pipe, whose bytes come but once, a copy."""
    try:
        file = path.open("rb")
        if file.seekable():
            return file
        with file:
            copy = tempfile.TemporaryFile()  # noqa: SIM115 - whoever asked for it closes it
            shutil.copyfileobj(file, copy)
    except IsADirectoryError as error:
        raise FileAccessError(
            f"{path}: a directory. hint: name a picture, or -r takes those in it"
        ) from error
    except OSError as error:
        raise FileAccessError(f"{path}: cannot be read: {error.strerror}") from error
    copy.seek(0)
    return copy


def size_of(path: Path) -> tuple[int, int] | None:
    """`read_size` of a regular file that holds a picture; None of anything else."""
    try:
        return read_size(path) if path.is_file() else None
    except (OSError, CdsrError):
        return None


def read_rgb(path: Path, *, max_pixels: int) -> NDArray[np.uint8]:
    """The pixels of an opaque picture file, uint8 (H, W, 3), sRGB, upright.

    Raises:
        InputImageError: transparent pixels; and all that read_picture raises.
    """
    picture = read_picture(path, max_pixels=max_pixels)
    if picture.alpha is not None:
        raise InputImageError(
            f"{path}: the image has transparent pixels. hint: flatten it onto a background first"
        )
    return picture.pixels


def to_picture(image: Image.Image) -> Picture:
    """Take a Pillow image of any mode as upright 8-bit sRGB.

    Orientation, of EXIF or XMP, is applied; EXIF that cannot be parsed counts as none. An
    embedded ICC profile that is not sRGB is converted to sRGB (relative colorimetric, black
    point compensated). A profile that is broken or belongs to another colour model is
    ignored: the pixels are then taken as sRGB, as viewers take them. 16-bit grey is scaled,
    I (32-bit integers) is taken as 16-bit, F (float) as [0, 1]. Alpha is taken off, and the
    colours of fully transparent pixels are replaced by continuations of visible ones.

    Raises:
        InputImageError: no pixels, damaged pixel data, values beyond the ranges above, or an
            animation or file of several pages, whichever of them is shown; a copy has just one.
    """
    if 0 in image.size:
        raise InputImageError("the image has no pixels")
    check_one_frame(image)
    with parser_errors():
        image = load_whole(image)
    orientation = _orientation(image)
    metadata, dropped = read_metadata(image, is_on_its_side=orientation in _ON_ITS_SIDE)
    turn = _TURNS.get(orientation)
    upright = image if turn is None else image.transpose(turn)
    opaque, alpha = split_alpha(upright)
    model, bits = _source_of(image.mode)
    srgb, profile = _convert_to_srgb(
        reduce_to_8_bit(opaque), upright.info.get("icc_profile"), model, dropped
    )
    pixels = np.array(srgb.convert("RGB"))
    if alpha is not None:
        pixels = bleed(pixels, alpha)
    return Picture(
        pixels,
        alpha,
        model,
        bits,
        replace(metadata, icc_profile=profile),
        warnings=tuple(dropped),
    )


def _source_of(mode: str) -> tuple[str, int]:
    return _GREY_16 if mode.startswith("I;16") else _SOURCES.get(mode, _PLAIN)


def _convert_to_srgb(
    image: Image.Image, icc_profile: bytes | None, model: str, dropped: list[str]
) -> tuple[Image.Image, bytes | None]:
    """The picture in sRGB, and its profile where decoding can and should restore it."""
    if not icc_profile:
        return image, None
    try:
        converted, is_other = to_srgb(image, icc_profile)
    except ValueError as error:
        dropped.append(f"the ICC profile is ignored: {error}")
        return image, None
    is_kept = is_other and is_restorable(icc_profile, "L" if model == "L" else "RGB")
    if is_kept and len(icc_profile) > MAX_BLOCK_BYTES:
        dropped.append(f"the ICC profile is dropped: more than {MAX_BLOCK_BYTES} bytes")
        is_kept = False
    return converted, icc_profile if is_kept else None


def _open_single(file: BinaryIO, max_pixels: int) -> Image.Image:
    """The image of a file, undecoded, of a size that is allowed."""
    with parser_errors():
        start = file.read(len(OWN_MAGIC))
        file.seek(0)
    if start == OWN_MAGIC:
        raise InputImageError("not an image but a .cdsr file already. hint: decode it first")
    with parser_errors():
        image = Image.open(file)
    if image.format in _NO_PICTURES:
        raise InputImageError(
            f"{image.format} cannot be read here. hint: let another program make a PNG of it"
        )
    if image.width * image.height > max_pixels:
        raise LimitError(
            f"{image.width}x{image.height} px are more than the limit of {max_pixels} pixels. "
            "hint: cut the picture into parts or reduce it"
        )
    return image


def check_one_frame(image: Image.Image) -> None:
    """Refuse an animation or a file of several pages, of which only one could be coded.

    Raises:
        InputImageError: it is one, whichever frame is shown; or the file is damaged.
    """
    with parser_errors():
        frames = _count_frames(image)
    if frames > 1:
        raise InputImageError(
            f"the image has {frames} frames or pages. hint: save the one you want as a PNG"
        )


def _count_frames(image: Image.Image) -> int:
    """The pictures in the file that an image was opened from; 1 without one."""
    # Further pictures of a camera are previews and gain maps of the first; layers are its parts.
    if image.format in {"MPO", "PSD"}:
        return 1
    try:
        return int(getattr(image, "n_frames", 1))
    except Exception:
        file = getattr(image, "fp", None)
        if file is None or file.closed:
            return 1  # of what was loaded and closed, no more can be known
        raise


def _orientation(image: Image.Image) -> int:
    """The EXIF or XMP orientation of a loaded image, 1 to 8 where it is a known one.

    ImageOps.exif_transpose would also write the other tags anew, which fails
    where one of them is damaged.
    """
    try:
        with warnings.catch_warnings(action="ignore"):
            orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except MemoryError:
        raise
    except Exception:  # as in parser_errors; the pixels are there, so the EXIF is damaged
        return 1
    return orientation if isinstance(orientation, int) else 1
