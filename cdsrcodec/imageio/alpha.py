"""Alpha planes: taken off a picture, colours under them made cheap, enlarged."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

OPAQUE = 255
_VISIBLE = [0] + [OPAQUE] * 255  # any alpha but 0 -> opaque
_BICUBIC_REACH = 2  # rows
_NEARER = [0] * 128 + [OPAQUE] * 128  # the nearer one of both


def split_alpha(image: Image.Image) -> tuple[Image.Image, NDArray[np.uint8] | None]:
    """A loaded image without its alpha channel, transparent colour or palette entries.

    Returns:
        The opaque image, in the mode it has or the nearest without alpha, and the alpha
        plane, uint8 (H, W); None where it hides nothing.
    """
    if not image.has_transparency_data:
        return image, None
    if image.mode.startswith("I"):  # of these Pillow does not convert the transparent grey
        visible = np.asarray(image) != image.info["transparency"]
        alpha = np.where(visible, OPAQUE, 0).astype(np.uint8)
        opaque = image
    else:
        if image.mode == "La":  # converts to nothing else with its alpha
            image = image.convert("LA")
        rgba = image.convert("RGBA")
        alpha = np.array(rgba.getchannel("A"))
        opaque = rgba.convert("L" if image.mode in {"1", "L", "LA"} else "RGB")
    return opaque, None if alpha.min() == OPAQUE else alpha


def bleed(pixels: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Replace the colours that no one sees by smooth continuations of those beside them.

    What an editor left under transparent pixels would cost bits, and shine through as
    fringes where the codec blurs it into visible ones. Push and pull: halve the picture,
    without the hidden pixels, until none is left, and fill from the coarse to the fine.

    Args:
        pixels: (H, W, 3).
        alpha: (H, W); pixels where it is 0 are replaced, all others stay exactly.

    Returns:
        (H, W, 3); black where nothing is visible at all.

    Source: Gortler et al. 1996 (The Lumigraph), section 3.4.
    """
    levels = [Image.fromarray(pixels)]
    levels[0].putalpha(Image.fromarray(alpha).point(_VISIBLE))
    while levels[-1].getchannel("A").getextrema() != (OPAQUE, OPAQUE) and max(levels[-1].size) > 1:
        coarse = levels[-1].reduce(2)  # weighs colours by their alpha
        coarse.putalpha(coarse.getchannel("A").point(_VISIBLE))
        levels.append(coarse)
    last = levels.pop()
    filled = Image.new("RGB", last.size)
    filled.paste(last.convert("RGB"), mask=last.getchannel("A"))
    for level in reversed(levels):
        filled = filled.resize(level.size, Image.Resampling.BILINEAR)
        filled.paste(level.convert("RGB"), mask=level.getchannel("A"))
    return np.array(filled)


class EnlargedAlpha:
    """An alpha plane some times as wide and high, row by row.

    Bicubic: unlike Lanczos it makes no pixel inside an opaque area transparent. A mask of
    only 0 and 255 stays one.

    Args:
        alpha: (H, W) uint8.
        scale: 1 or 4.
    """

    def __init__(self, alpha: NDArray[np.uint8], scale: int) -> None:
        self._plane = Image.fromarray(alpha)
        self._scale = scale
        self._is_mask = scale > 1 and is_mask(alpha)

    def rows(self, top_px: int, bottom_px: int) -> Image.Image:
        """Mode L, (scale W, bottom_px - top_px): rows of the enlarged plane."""
        scale, (width, height) = self._scale, self._plane.size
        if scale == 1:
            return self._plane.crop((0, top_px, width, bottom_px))
        top, bottom = top_px / scale, bottom_px / scale
        first = max(0, math.floor(top) - _BICUBIC_REACH)
        last = min(height, math.ceil(bottom) + _BICUBIC_REACH)
        near = self._plane.crop((0, first, width, last))
        # Columns, then rows, as Pillow does with a whole plane; with a band it may turn them round.
        wide = near.resize((scale * width, near.height), Image.Resampling.BICUBIC)
        box = (0, top - first, wide.width, bottom - first)
        band = wide.resize((wide.width, bottom_px - top_px), Image.Resampling.BICUBIC, box)
        return band.point(_NEARER) if self._is_mask else band


def is_mask(alpha: NDArray[np.uint8]) -> bool:
    """Whether a plane has only fully transparent and fully opaque pixels."""
    return bool(np.isin(alpha, (0, OPAQUE)).all())
