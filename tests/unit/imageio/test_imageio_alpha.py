"""Colours under transparent pixels, and planes four times as large."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cdsrcodec.imageio.alpha import EnlargedAlpha, bleed

Pixels = NDArray[np.uint8]


def enlarge(alpha: Pixels, scale: int) -> Pixels:
    return np.asarray(EnlargedAlpha(alpha, scale).rows(0, alpha.shape[0] * scale))


def disc(height: int = 41, width: int = 57) -> Pixels:
    """A soft disc: opaque in the middle, transparent in the corners."""
    rows, columns = np.mgrid[0:height, 0:width]
    depth = 255 * (16 - np.hypot(rows - 20, columns - 28)) / 4
    return np.asarray(depth.clip(0, 255), dtype=np.uint8)


def test_visible_colours_stay_exactly() -> None:
    alpha = disc()
    pixels = np.random.default_rng(1).integers(0, 256, (41, 57, 3)).astype(np.uint8)
    bled = bleed(pixels, alpha)
    np.testing.assert_array_equal(bled[alpha > 0], pixels[alpha > 0])


def test_hidden_colours_have_no_influence() -> None:
    alpha = disc()
    rng = np.random.default_rng(2)
    first = rng.integers(0, 256, (41, 57, 3)).astype(np.uint8)
    second = np.where(alpha[..., None] > 0, first, rng.integers(0, 256, first.shape))
    np.testing.assert_array_equal(bleed(first, alpha), bleed(second.astype(np.uint8), alpha))


def test_hidden_colours_continue_visible_ones() -> None:
    alpha = disc()
    pixels = np.zeros((41, 57, 3), np.uint8)
    pixels[alpha > 0] = (200, 120, 40)
    distance = np.abs(bleed(pixels, alpha).astype(int) - (200, 120, 40))
    assert distance.max() <= 6


def test_hidden_colours_are_smooth() -> None:
    alpha = disc()
    pixels = np.random.default_rng(3).integers(0, 256, (41, 57, 3)).astype(np.uint8)
    steps = np.abs(np.diff(bleed(pixels, alpha)[:2].astype(int), axis=1))  # rows far outside
    assert steps.mean() < 8


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (2, 3), (64, 64)])
def test_a_picture_of_which_nothing_is_visible_becomes_black(size: tuple[int, int]) -> None:
    pixels = np.full((*size, 3), 99, np.uint8)
    assert not bleed(pixels, np.zeros(size, np.uint8)).any()
    np.testing.assert_array_equal(bleed(pixels, np.full(size, 1, np.uint8)), pixels)


def test_one_visible_pixel_colours_the_whole_picture() -> None:
    pixels = np.zeros((50, 31, 3), np.uint8)
    pixels[49, 0] = (240, 10, 90)
    alpha = np.zeros((50, 31), np.uint8)
    alpha[49, 0] = 1
    assert np.abs(bleed(pixels, alpha).astype(int) - (240, 10, 90)).max() <= 8


def test_an_enlarged_plane_is_opaque_where_the_small_one_is() -> None:
    alpha = disc()
    enlarged = enlarge(alpha, 4)
    assert enlarged.shape == (164, 228)
    inside = np.zeros(alpha.shape, bool)
    for row, column in zip(*np.nonzero(alpha == 255), strict=True):
        around = alpha[max(0, row - 2) : row + 3, max(0, column - 2) : column + 3]
        inside[row, column] = (around == 255).all()
    assert inside.sum() > 200
    assert (enlarged[inside.repeat(4, 0).repeat(4, 1)] == 255).all()


def test_a_mask_is_enlarged_to_a_mask_and_a_plane_is_left_at_1x() -> None:
    mask = np.where(disc() > 128, 255, 0).astype(np.uint8)
    assert set(np.unique(enlarge(mask, 4))) == {0, 255}
    np.testing.assert_array_equal(enlarge(disc(), 1), disc())
    assert len(np.unique(enlarge(disc(), 4))) > 100


@pytest.mark.parametrize("scale", [1, 4])
def test_a_plane_is_the_same_in_bands_of_rows(scale: int) -> None:
    alpha = np.random.default_rng(4).integers(0, 256, (41, 57)).astype(np.uint8)
    plane = EnlargedAlpha(alpha, scale)
    bounds = [*range(0, 41 * scale, 7), 41 * scale]
    bands = [np.asarray(plane.rows(top, bottom)) for top, bottom in pairwise(bounds)]
    np.testing.assert_array_equal(np.concatenate(bands), enlarge(alpha, scale))
    if scale == 4:
        whole = Image.fromarray(alpha).resize((228, 164), Image.Resampling.BICUBIC)
        np.testing.assert_array_equal(np.concatenate(bands), np.asarray(whole))
