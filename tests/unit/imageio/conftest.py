"""One small picture with no symmetry, so that every turn and flip of it differs."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray


@pytest.fixture(scope="session")
def pixels() -> NDArray[np.uint8]:
    """uint8 (13, 21, 3): smooth ramps, different in each channel, none clipped."""
    rows, columns = np.mgrid[0:13, 0:21]
    channels = [30 + 8 * columns, 40 + 14 * rows, 200 - 3 * columns - 5 * rows]
    return np.asarray(np.stack(channels, axis=-1), dtype=np.uint8)
