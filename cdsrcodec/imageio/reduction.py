"""A picture reduced before it is coded, to be enlarged again when it is decoded."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np

from cdsrcodec.imageio.alpha import OPAQUE
from cdsrcodec.imageio.reader import Picture
from cdsrcodec.imageio.resampling import downscale


def reduce_picture(picture: Picture, factor: int) -> Picture:
    """The picture with both sides divided by `factor`, rounded up.

    Sides that it does not divide are continued by their last pixels first, so that the
    grids of both sizes coincide: enlarging and cutting to `full_size_px` gives every
    pixel back at its place.

    Args:
        picture: any picture.
        factor: at least 2.

    Source: antialiased bicubic reduction, as in the workflow of super-resolution studies.
    """
    height_px, width_px = picture.pixels.shape[:2]
    margins = ((0, -height_px % factor), (0, -width_px % factor))
    pixels = downscale(np.pad(picture.pixels, (*margins, (0, 0)), mode="edge"), factor)
    alpha = picture.alpha
    if alpha is not None:
        alpha = downscale(np.pad(alpha, margins, mode="edge"), factor)
    return replace(
        picture,
        pixels=pixels,
        alpha=None if alpha is None or alpha.min() == OPAQUE else alpha,
        metadata=picture.metadata.resized(pixels.shape[1], pixels.shape[0], Fraction(1, factor)),
        full_size_px=(width_px, height_px),
    )
