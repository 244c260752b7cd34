"""Decoded pixels, alpha plane and metadata put together to a Pillow image."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cdsrcodec.imageio.alpha import enlarge_alpha
from cdsrcodec.imageio.colour import from_srgb
from cdsrcodec.imageio.metadata import Metadata


def assemble(
    pixels: NDArray[np.uint8],
    alpha: NDArray[np.uint8] | None,
    metadata: Metadata,
    *,
    is_grey: bool,
    scale: int,
    size_px: tuple[int, int] | None = None,
) -> Image.Image:
    """The picture as its source was: grey or not, in its colour space, with its alpha.

    A profile that cannot be applied is left out: the picture is then in sRGB.

    Args:
        pixels: (scale H, scale W, 3) uint8 sRGB.
        alpha: (H, W) uint8, or None.
        metadata: of the native picture; becomes the `info` of the image.
        is_grey: L or LA instead of RGB or RGBA.
        scale: 1 or 4, of pixels over alpha and metadata.
        size_px: width and height that are cut out at the upper left; None for all.
    """
    image = Image.fromarray(pixels)
    if is_grey:
        image = image.convert("L")
    if metadata.icc_profile is not None:
        try:
            image = from_srgb(image, metadata.icc_profile)
        except ValueError:
            metadata = replace(metadata, icc_profile=None)
    if alpha is not None:
        image.putalpha(enlarge_alpha(alpha, scale))
    if size_px not in (None, image.size):
        image = image.crop((0, 0, *size_px))
    image.info.clear()  # converting may have left a profile
    image.info.update(metadata.resized(*image.size, scale).info())
    return image
