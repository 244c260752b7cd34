"""Any mode to 8 bits, and ICC profiles: to sRGB, which is what is coded, and back."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from cdsrcodec.errors import InputImageError

# The colour spaces of ICC profiles that pixels can be in, and Pillow's mode for each.
_PROFILE_MODES = {b"RGB ": "RGB", b"GRAY": "L", b"CMYK": "CMYK"}
# Differences to sRGB up to this many 8-bit steps are rounding inside a profile.
_SAME_PROFILE_STEPS = 2


def reduce_to_8_bit(image: Image.Image) -> Image.Image:
    """An opaque image in mode L, RGB, CMYK or LAB.

    16-bit grey is scaled, I (32-bit integers) is taken as 16-bit, F (float) as [0, 1].

    Raises:
        InputImageError: values beyond these ranges.
    """
    if image.mode.startswith("I"):
        return Image.fromarray(_scale_integers(np.asarray(image)))
    if image.mode == "F":
        return Image.fromarray(_scale_floats(np.asarray(image)))
    mode = {"1": "L", "L": "L", "CMYK": "CMYK", "LAB": "LAB"}.get(image.mode, "RGB")
    return image.convert(mode)


def to_srgb(image: Image.Image, icc_profile: bytes) -> tuple[Image.Image, bool]:
    """Apply a profile: relative colorimetric, black point compensated.

    Args:
        image: mode L, RGB or CMYK.
        icc_profile: what its samples mean.

    Returns:
        The picture in mode RGB, and True; or as it was, and False, where the profile is
        that of sRGB.

    Raises:
        ValueError: the profile is broken or belongs to another colour model.
    """
    profile = _profile(icc_profile)  # first: what is no profile belongs to no colour model
    mode = _PROFILE_MODES.get(icc_profile[16:20])
    if image.mode == "L" and mode == "RGB":
        image = image.convert("RGB")
    if mode is None or image.mode != mode:
        raise ValueError("it belongs to another colour model")
    transform = _transform(profile, _srgb_profile(), mode, "RGB")
    if mode == "RGB" and _changes_little(transform):
        return image, False
    return transform.apply(image), True


def from_srgb(icc_profile: bytes, mode: str) -> Callable[[Image.Image], Image.Image]:
    """What converts pictures from sRGB, in mode L or RGB, to a profile: the inverse of to_srgb.

    Raises:
        ValueError: the profile is broken, belongs to another colour model, or works in the
            other direction only, as those of scanners do.
    """
    profile = _profile(icc_profile)
    if _PROFILE_MODES.get(icc_profile[16:20]) != mode:
        raise ValueError("it belongs to another colour model")
    transform = _transform(_srgb_profile(), profile, "RGB", mode)
    return lambda image: transform.apply(image.convert("RGB"))


def is_restorable(icc_profile: bytes, mode: str) -> bool:
    """Whether from_srgb will do for pictures in this mode, L or RGB."""
    try:
        from_srgb(icc_profile, mode)
    except ValueError:
        return False
    return True


def _srgb_profile() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def _profile(icc_profile: bytes) -> ImageCms.ImageCmsProfile:
    try:
        return ImageCms.ImageCmsProfile(io.BytesIO(icc_profile))
    except (OSError, ImageCms.PyCMSError) as error:
        raise ValueError("it is broken") from error


def _transform(
    source: ImageCms.ImageCmsProfile,
    target: ImageCms.ImageCmsProfile,
    source_mode: str,
    target_mode: str,
) -> ImageCms.ImageCmsTransform:
    try:
        return ImageCms.buildTransform(
            source,
            target,
            source_mode,
            target_mode,
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (OSError, ImageCms.PyCMSError) as error:
        raise ValueError("it is broken") from error


def _changes_little(transform: ImageCms.ImageCmsTransform) -> bool:
    """Whether an RGB transform is the identity but for rounding: the profile was sRGB.

    Names say little: many profiles called sRGB exist, not all of them are.
    """
    levels = np.linspace(0, 255, 9).astype(np.uint8)
    colours = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(1, -1, 3)
    converted = np.asarray(transform.apply(Image.fromarray(colours)))
    steps = np.abs(converted.astype(np.int16) - colours)
    return bool(steps.max() <= _SAME_PROFILE_STEPS)


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
