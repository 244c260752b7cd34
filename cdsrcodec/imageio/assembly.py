"""Decoded pixels, alpha plane and metadata put together to a Pillow image."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cdsrcodec.imageio.alpha import EnlargedAlpha
from cdsrcodec.imageio.colour import from_srgb
from cdsrcodec.imageio.metadata import Metadata

_BAND_PX = 256


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

    A profile that cannot be applied is left out: the picture is then in sRGB. It is made in bands
    of rows, so that what the steps in between take does not grow with the picture.

    Args:
        pixels: (scale H, scale W, 3) uint8 sRGB.
        alpha: (H, W) uint8, or None.
        metadata: of the native picture; becomes the `info` of the image.
        is_grey: L or LA instead of RGB or RGBA.
        scale: 1 or 4, of pixels over alpha and metadata.
        size_px: width and height that are cut out at the upper left; None for all.
    """
    width_px, height_px = size_px or (pixels.shape[1], pixels.shape[0])
    colours = "L" if is_grey else "RGB"
    convert = None
    if metadata.icc_profile is not None:
        try:
            convert = from_srgb(metadata.icc_profile, colours)
        except ValueError:
            metadata = replace(metadata, icc_profile=None)
    plane = None if alpha is None else EnlargedAlpha(alpha, scale)
    image = Image.new(colours if plane is None else f"{colours}A", (width_px, height_px))
    for top_px in range(0, height_px, _BAND_PX):
        bottom_px = min(top_px + _BAND_PX, height_px)
        band = Image.fromarray(pixels[top_px:bottom_px, :width_px])
        if is_grey:
            band = band.convert("L")
        if convert is not None:
            band = convert(band)
        if plane is not None:
            band.putalpha(plane.rows(top_px, bottom_px).crop((0, 0, *band.size)))
        image.paste(band, (0, top_px))
    image.info.update(metadata.resized(*image.size, scale).info())
    return image
