"""Fidelity of one picture against its original: PSNR of RGB and of luma, MS-SSIM, SSIMULACRA 2."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cdsrcodec.imageio.fidelity import PEAK, psnr_db

# BT.601 luma of R, G, B in 0..255, offset 16, as SR papers report it (MATLAB's rgb2ycbcr).
LUMA_WEIGHTS = (65.481 / 255, 128.553 / 255, 24.966 / 255)
LUMA_OFFSET = 16
# Below it the fifth scale of MS-SSIM has no room for its 11-tap window.
MS_SSIM_MIN_SIDE_PX = 161


def psnr_rgb_db(x: NDArray[np.uint8], x_hat: NDArray[np.uint8], *, shave_px: int = 0) -> float:
    """PSNR over the samples of all three channels together.

    Args:
        x: original, (H, W, 3).
        x_hat: reconstruction, the same shape.
        shave_px: border left out on every side.

    Returns:
        Decibels against a peak of 255; inf for identical pictures.

    Raises:
        ValueError: the shapes differ, are no RGB picture, or nothing is left after shaving.
    """
    x, x_hat = _shaved_pair(x, x_hat, shave_px)
    return psnr_db(x.astype(np.int32) - x_hat)


def psnr_y_db(x: NDArray[np.uint8], x_hat: NDArray[np.uint8], *, shave_px: int = 0) -> float:
    """PSNR of the BT.601 luma (16..235, not rounded), peak 255; otherwise as `psnr_rgb_db`."""
    x, x_hat = _shaved_pair(x, x_hat, shave_px)
    return psnr_db(luma(x) - luma(x_hat))


def luma(x: NDArray[np.uint8]) -> NDArray[np.float64]:
    """BT.601 luma, (H, W, 3) uint8 -> (H, W) float in 16..235."""
    y: NDArray[np.float64] = x.astype(np.float64) @ np.array(LUMA_WEIGHTS) + LUMA_OFFSET
    return y


def ms_ssim_rgb(x: NDArray[np.uint8], x_hat: NDArray[np.uint8]) -> float:
    """Multi-scale SSIM, mean over the three channels, 1 for identical pictures.

    Args:
        x: original, (H, W, 3), both sides at least MS_SSIM_MIN_SIDE_PX.
        x_hat: reconstruction, the same shape.

    Raises:
        ValueError: the shapes differ, are no RGB picture, or are too small.

    Source: Wang et al. 2003, doi:10.1109/ACSSC.2003.1292216, by pytorch-msssim, as in
    CompressAI's published results.
    """
    import torch
    from pytorch_msssim import ms_ssim

    _require_same_rgb_shape(x, x_hat)
    if min(x.shape[:2]) < MS_SSIM_MIN_SIDE_PX:
        raise ValueError(f"MS-SSIM needs sides of at least {MS_SSIM_MIN_SIDE_PX} px, not {x.shape}")
    pair = torch.from_numpy(np.stack([x, x_hat])).permute(0, 3, 1, 2).float()
    return float(ms_ssim(pair[:1], pair[1:], data_range=PEAK))


def ssimulacra2(x: NDArray[np.uint8], x_hat: NDArray[np.uint8]) -> float:
    """SSIMULACRA 2, 100 for identical pictures, about 90 visually lossless, 50 medium quality.

    Args:
        x: original, (H, W, 3).
        x_hat: reconstruction, the same shape.

    Raises:
        ValueError: the shapes differ or are no RGB picture.

    Source: Sneyers 2023, github.com/cloudinary/ssimulacra2, by the package ssimulacra2, a
    port to numpy. Differs: the port blurs borders and rounds in another way than the C++ code.
    """
    from ssimulacra2 import compute_ssimulacra2

    _require_same_rgb_shape(x, x_hat)
    files = [io.BytesIO(), io.BytesIO()]  # the package takes what Pillow opens
    for pixels, file in zip((x, x_hat), files, strict=True):
        Image.fromarray(pixels).save(file, "PPM")
    return float(compute_ssimulacra2(*files))


def _require_same_rgb_shape(x: NDArray[np.uint8], x_hat: NDArray[np.uint8]) -> None:
    if x.shape != x_hat.shape or x.ndim != 3 or x.shape[2] != 3:
        raise ValueError(f"two RGB pictures of one size are needed, not {x.shape}, {x_hat.shape}")


def _shaved_pair(
    x: NDArray[np.uint8], x_hat: NDArray[np.uint8], shave_px: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    _require_same_rgb_shape(x, x_hat)
    if not 0 <= 2 * shave_px < min(x.shape[:2]):
        raise ValueError(f"shaving {shave_px} px leaves nothing of a picture of shape {x.shape}")
    inner = slice(shave_px, -shave_px or None)
    return x[inner, inner], x_hat[inner, inner]
