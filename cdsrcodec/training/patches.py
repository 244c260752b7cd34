"""Random training patches from a folder of images.

The picture at index i of step s on rank r depends on (seed, s, r) alone, so a
run that is killed and resumed sees the patches it would have seen.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cdsrcodec.container import Limits
from cdsrcodec.errors import InputImageError
from cdsrcodec.imageio.folders import IMAGE_SUFFIXES, check_folder, is_picture
from cdsrcodec.imageio.reader import read_picture, read_size
from cdsrcodec.imageio.resampling import downscale


class ImageFolder:
    """The pictures of a folder as they would be coded, read once and kept while memory allows.

    Args:
        folder: searched recursively, but for hidden files; they are taken in sorted order.
        min_side_px: smaller pictures are left out.
        cache_gb: decoded pictures kept in memory; the rest is decoded anew each time.

    Raises:
        FileAccessError: there is no such folder, or a file in it cannot be read.
        InputImageError: no picture is large enough, or a file is none.
        LimitError: a picture has more pixels than can be coded.
    """

    def __init__(self, folder: Path, *, min_side_px: int, cache_gb: float = 4.0) -> None:
        check_folder(folder)
        self.min_side_px = min_side_px
        candidates = sorted(p for p in folder.rglob("*") if is_picture(p.relative_to(folder)))
        self.paths = [p for p in candidates if min(read_size(p)) >= min_side_px]
        if not self.paths:
            raise InputImageError(
                f"{folder}: no image with both sides of at least {min_side_px} px. "
                f"hint: name a folder of photographs ({', '.join(sorted(IMAGE_SUFFIXES))})"
            )
        self._cache: dict[int, NDArray[np.uint8]] = {}
        self._budget_bytes = int(cache_gb * 1e9)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        """Picture `index` as encoding takes it: uint8 (H, W, 3), sRGB, upright, without alpha.

        Raises:
            InputImageError: its pixels are damaged, or it is an animation.
            FileAccessError, LimitError: as imageio.reader.read_picture.
        """
        if index in self._cache:
            return self._cache[index]
        pixels = read_picture(self.paths[index], max_pixels=Limits.max_pixels).pixels
        if pixels.nbytes <= self._budget_bytes:
            self._budget_bytes -= pixels.nbytes
            self._cache[index] = pixels
        return pixels


def middles(images: ImageFolder, count: int, side_px: int) -> list[NDArray[np.uint8]]:
    """Squares of side_px out of the middles of `count` pictures, evenly spaced, or of all."""
    count = min(count, len(images))
    pictures = (images[index * len(images) // count] for index in range(count))
    return [_middle(pixels, side_px) for pixels in pictures]


def _middle(pixels: NDArray[np.uint8], side_px: int) -> NDArray[np.uint8]:
    top, left = ((side - side_px) // 2 for side in pixels.shape[:2])
    return np.ascontiguousarray(pixels[top : top + side_px, left : left + side_px])


def random_crop(
    pixels: NDArray[np.uint8], side_px: int, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """A square of side_px, anywhere, flipped and turned at random."""
    top = rng.integers(pixels.shape[0] - side_px + 1)
    left = rng.integers(pixels.shape[1] - side_px + 1)
    crop = pixels[top : top + side_px, left : left + side_px]
    crop = np.rot90(crop, rng.integers(4))
    if rng.integers(2):
        crop = crop[:, ::-1]
    return np.ascontiguousarray(crop)


def patch_batch(
    images: ImageFolder,
    rng: np.random.Generator,
    *,
    count: int,
    side_px: int,
    factors: tuple[int, ...],
) -> NDArray[np.uint8]:
    """`count` patches (count, side_px, side_px, 3), each reduced by one of `factors`.

    A factor larger than 1 crops factor * side_px and reduces it: a patch of the
    low-resolution picture. A picture too small for the factor drawn gets the
    largest factor that fits.
    """
    patches = []
    for _ in range(count):
        pixels = images[int(rng.integers(len(images)))]
        fitting = [f for f in factors if min(pixels.shape[:2]) >= f * side_px]
        drawn = int(rng.choice(factors))
        factor = drawn if drawn in fitting else max(fitting)
        patches.append(downscale(random_crop(pixels, factor * side_px, rng), factor))
    return np.stack(patches)


def as_tensor(patches: NDArray[np.uint8], device: torch.device) -> Tensor:
    """(B, 3, H, W) float in [0, 1] of uint8 (B, H, W, 3)."""
    return torch.from_numpy(patches).to(device).permute(0, 3, 1, 2).float() / 255


def as_pixels(x: Tensor) -> NDArray[np.uint8]:
    """Uint8 (B, H, W, 3) of (B, 3, H, W), nominally in [0, 1]; the way back from as_tensor."""
    return (255 * x).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()


def spread_levels(
    rng: np.random.Generator, count: int, levels: int, device: torch.device, *, bias: float = 1.0
) -> Tensor:
    """(count,) real levels 0..levels - 1 of a batch, rising, with low and high ones in each.

    One draw u for each of `count` slices of 0..1 gives (levels - 1) * u ** bias.
    """
    u = (np.arange(count) + rng.random(count)) / count
    return torch.from_numpy((levels - 1) * u**bias).float().to(device)


def batch_rng(seed: int, step: int, rank: int) -> np.random.Generator:
    """The generator of one step on one rank."""
    return np.random.default_rng([seed, step, rank])
