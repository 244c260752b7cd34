"""Peak signal-to-noise ratio, the one measure that encoding itself reports."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

PEAK = 255
BAND_ROWS = 256  # whose errors are in memory at a time


def psnr_db(error: NDArray[np.int32] | NDArray[np.float64]) -> float:
    """PSNR of an error signal on the scale 0..255, over all its samples; inf for no error."""
    return psnr_of_mse_db(float(np.mean(np.square(error))))


def psnr_of_mse_db(mse: float) -> float:
    """PSNR of a mean squared error on the scale 0..255; inf for none."""
    return math.inf if mse == 0 else 10 * math.log10(PEAK**2 / mse)


def mean_squared_error(x: NDArray[np.uint8], x_hat: NDArray[np.uint8]) -> float:
    """Of two pictures of the same shape (H, W, 3), over all samples, in little memory."""
    total = 0
    for top in range(0, len(x), BAND_ROWS):
        band = slice(top, top + BAND_ROWS)
        error = np.subtract(x[band], x_hat[band], dtype=np.int32)
        total += int(np.square(error).sum(dtype=np.int64))
    return total / x.size
