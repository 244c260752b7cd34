from __future__ import annotations

import math

import numpy as np
import pytest

from cdsrcodec.imageio.fidelity import BAND_ROWS, mean_squared_error, psnr_db, psnr_of_mse_db


@pytest.mark.parametrize("height_px", [1, BAND_ROWS, 2 * BAND_ROWS + 3])
def test_the_error_in_bands_is_that_of_the_whole(height_px: int) -> None:
    rng = np.random.default_rng(height_px)
    x, x_hat = rng.integers(0, 256, (2, height_px, 5, 3), dtype=np.uint8)
    error = x.astype(np.int32) - x_hat
    assert mean_squared_error(x, x_hat) == np.mean(np.square(error))
    assert psnr_of_mse_db(mean_squared_error(x, x_hat)) == psnr_db(error)


def test_no_error_is_infinitely_good() -> None:
    x = np.zeros((3, 4, 3), np.uint8)
    assert mean_squared_error(x, x) == 0
    assert psnr_of_mse_db(0.0) == math.inf
    assert psnr_of_mse_db(255.0**2) == 0
