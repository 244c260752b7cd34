"""Reducing and enlarging 8-bit pictures by whole factors, with Pillow's antialiased filters."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

FILTERS = {"bicubic": Image.Resampling.BICUBIC, "lanczos": Image.Resampling.LANCZOS}


def downscale(pixels: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """Antialiased bicubic reduction by a whole factor that divides H and W.

    Args:
        pixels: uint8 (H, W, 3) or (H, W).
        factor: 1 gives the pixels themselves.
    """
    if factor == 1:
        return pixels
    height, width = pixels.shape[:2]
    size = (width // factor, height // factor)
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))


def interpolate(pixels: NDArray[np.uint8], factor: int, name: str) -> NDArray[np.uint8]:
    """Uint8 (H, W, 3) to (factor H, factor W, 3) by the filter of this name in FILTERS."""
    height, width = pixels.shape[:2]
    size = (factor * width, factor * height)
    return np.asarray(Image.fromarray(pixels).resize(size, FILTERS[name]))
