"""Any picture that Pillow reads, as upright 8-bit sRGB pixels."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms, UnidentifiedImageError

from cdsrcodec.errors import FileAccessError, InputImageError, LimitError

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
# The colour spaces of ICC profiles that pixels can be in, and Pillow's mode for each.
_PROFILE_MODES = {b"RGB ": "RGB", b"GRAY": "L", b"CMYK": "CMYK"}
# Differences to sRGB up to this many 8-bit steps are rounding inside a profile.
_SAME_PROFILE_STEPS = 2


def read_rgb(path: Path, *, max_pixels: int) -> NDArray[np.uint8]:
    """The pixels of a picture file, as `to_rgb` makes them.

    Args:
        path: a file in any format that Pillow reads.
        max_pixels: largest width x height, checked before pixels are decoded.

    Returns:
        uint8 (H, W, 3), sRGB, upright.

    Raises:
        FileAccessError: the file is missing or may not be read.
        InputImageError: not an image, damaged, animated, or refused by `to_rgb`.
        LimitError: more than max_pixels, or more than Pillow agrees to open.
    """
    try:
        file = path.open("rb")
    except IsADirectoryError as error:
        raise InputImageError(f"{path}: a directory, not an image. hint: name a file") from error
    except OSError as error:
        raise FileAccessError(f"{path}: cannot be read: {error.strerror}") from error
    with file:
        try:
            return to_rgb(_open_single(file, max_pixels))
        except (InputImageError, LimitError) as error:
            raise type(error)(f"{path}: {error}") from error


def to_rgb(image: Image.Image) -> NDArray[np.uint8]:
    """The pixels of a Pillow image of any mode as upright 8-bit sRGB.

    EXIF orientation is applied; EXIF that cannot be parsed counts as none. An
    embedded ICC profile that is not sRGB is converted to sRGB (relative
    colorimetric, black point compensated). A profile that is broken or belongs
    to another colour model is ignored: the pixels are then taken as sRGB, as
    viewers take them. 16-bit grey is scaled, I (32-bit integers) is taken as
    16-bit, F (float) as [0, 1]. An alpha channel is dropped where it hides nothing.

    Returns:
        uint8 (H, W, 3), a writable copy.

    Raises:
        InputImageError: no pixels, damaged pixel data, values beyond the ranges
            above, or pixels that are not opaque.
    """
    if 0 in image.size:
        raise InputImageError("the image has no pixels")
    with _decoder_errors():
        image.load()
    upright = _turn_upright(image)
    eight_bit = _reduce_to_8_bit(_drop_alpha(upright))
    icc_profile = upright.info.get("icc_profile")
    if icc_profile:
        eight_bit = _convert_to_srgb(eight_bit, icc_profile)
    return np.array(eight_bit.convert("RGB"))


def _open_single(file: BinaryIO, max_pixels: int) -> Image.Image:
    """The image of a file, undecoded: size and number of frames are checked."""
    with _decoder_errors():
        image = Image.open(file)
        # The further pictures of a camera's MPO are previews and gain maps of the first.
        frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
    if image.width * image.height > max_pixels:
        raise LimitError(
            f"{image.width}x{image.height} px are more than the limit of {max_pixels} pixels. "
            "hint: cut the picture into parts or reduce it"
        )
    if frames > 1:
        raise InputImageError(
            f"the image has {frames} frames or pages. hint: save the one you want as a PNG"
        )
    return image


@contextmanager
def _decoder_errors() -> Iterator[None]:
    """Let nothing but CdsrErrors and MemoryError out of Pillow's parsers, and no warnings.

    On damaged bytes these raise about every exception there is (Pillow's own
    fuzzers expect just Exception), so only calls into them belong in here.
    """
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    except MemoryError:
        raise
    except Image.DecompressionBombError as error:
        raise LimitError(
            "more pixels than Pillow agrees to open. hint: cut the picture into parts or reduce it"
        ) from error
    except UnidentifiedImageError as error:
        raise InputImageError(
            "not an image, or in a format that cannot be read here. hint: convert it to PNG first"
        ) from error
    except Exception as error:
        raise InputImageError(f"the image is damaged or cut short: {error}") from error


def _turn_upright(image: Image.Image) -> Image.Image:
    """Undo the EXIF orientation of a loaded image.

    ImageOps.exif_transpose would also write the other tags anew, which fails
    where one of them is damaged.
    """
    try:
        with warnings.catch_warnings(action="ignore"):
            orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # as in _decoder_errors; the pixels are there, so the EXIF is damaged
        return image
    turn = _TURNS.get(orientation)
    return image if turn is None else image.transpose(turn)


def _drop_alpha(image: Image.Image) -> Image.Image:
    """The image without its alpha channel, transparent colour or palette entries."""
    if not image.has_transparency_data:
        return image
    if image.mode.startswith("I"):  # of these Pillow does not convert the transparent grey
        _require_opaque(np.asarray(image) != image.info["transparency"])
        return image
    if image.mode == "La":  # converts to nothing else with its alpha
        image = image.convert("LA")
    rgba = image.convert("RGBA")
    _require_opaque(np.asarray(rgba.getchannel("A")) == 0xFF)
    return rgba.convert("L" if image.mode in {"1", "L", "LA"} else "RGB")


def _require_opaque(opaque: NDArray[np.bool_]) -> None:
    if not opaque.all():
        raise InputImageError(
            "the image has transparent pixels, which .cdsr files cannot hold yet. "
            "hint: flatten it onto a background first"
        )


def _reduce_to_8_bit(image: Image.Image) -> Image.Image:
    """An opaque image in mode L, RGB, CMYK or LAB."""
    if image.mode.startswith("I"):
        return Image.fromarray(_scale_integers(np.asarray(image)))
    if image.mode == "F":
        return Image.fromarray(_scale_floats(np.asarray(image)))
    mode = {"1": "L", "L": "L", "CMYK": "CMYK", "LAB": "LAB"}.get(image.mode, "RGB")
    return image.convert(mode)


def _scale_integers(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    """0..65535 to 0..255, rounded: the exact inverse of 8-bit values times 257."""
    wide = values.astype(np.int64)
    if wide.min() < 0 or wide.max() > 0xFFFF:
        raise InputImageError(
            f"the image has values from {wide.min()} to {wide.max()}, beyond 16 bits. "
            "hint: scale it to 8 or 16 bits first"
        )
    return ((wide + 128) // 257).astype(np.uint8)


def _scale_floats(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    """0.0..1.0 to 0..255, rounded."""
    wide = values.astype(np.float64)
    if not (wide.min() >= 0.0 and wide.max() <= 1.0):  # so that NaN is refused too
        raise InputImageError(
            "the image has floating-point values outside 0..1. hint: scale it to 8 bits first"
        )
    return (wide * 255.0 + 0.5).astype(np.uint8)


def _convert_to_srgb(image: Image.Image, icc_profile: bytes) -> Image.Image:
    """Apply the profile to a picture in mode L, RGB or CMYK; unchanged where it does not fit."""
    mode = _PROFILE_MODES.get(icc_profile[16:20])
    if image.mode == "L" and mode == "RGB":
        image = image.convert("RGB")
    if image.mode != mode:
        return image
    try:
        transform = ImageCms.buildTransform(
            ImageCms.ImageCmsProfile(io.BytesIO(icc_profile)),
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (OSError, ImageCms.PyCMSError):
        return image
    if mode == "RGB" and _changes_little(transform):
        return image
    return transform.apply(image)


def _changes_little(transform: ImageCms.ImageCmsTransform) -> bool:
    """Whether an RGB transform is the identity but for rounding: the profile was sRGB.

    Names say little: many profiles called sRGB exist, not all of them are.
    """
    levels = np.linspace(0, 255, 9).astype(np.uint8)
    colours = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(1, -1, 3)
    converted = np.asarray(transform.apply(Image.fromarray(colours)))
    steps = np.abs(converted.astype(np.int16) - colours)
    return bool(steps.max() <= _SAME_PROFILE_STEPS)
