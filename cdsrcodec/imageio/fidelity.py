"""Peak signal-to-noise ratio, the one measure that encoding itself reports."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

PEAK = 255


def psnr_db(error: NDArray[np.int32] | NDArray[np.float64]) -> float:
    """PSNR of an error signal on the scale 0..255, over all its samples; inf for no error."""
    mse = float(np.mean(np.square(error)))
    return math.inf if mse == 0 else 10 * math.log10(PEAK**2 / mse)
