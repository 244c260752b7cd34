"""Which symbol a residual is coded as."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cdsrcodec.entropy import MAX_SYMBOL


def round_rate_aware(
    residual: NDArray[np.float64], indexes: NDArray[np.uint8], offsets: NDArray[np.float64]
) -> NDArray[np.int32]:
    """The nearest integer, or the next one towards zero where its bits are worth it.

    One rate weight serves all channels and qualities, since the learnt gain has scaled
    the latent such that a unit step is about as harmful everywhere.

    Args:
        residual: (n,) gained latent less its predicted mean.
        indexes: (n,) table of each element.
        offsets: `EntropyModel.rounding_offsets`.

    Returns:
        (n,) symbols within +-MAX_SYMBOL.
    """
    magnitude = np.minimum(np.abs(residual), MAX_SYMBOL)
    symbols: NDArray[np.int32] = np.rint(magnitude).astype(np.int32)
    # Most symbols are 0 and stay so.
    at = np.flatnonzero(symbols)
    nearest = symbols[at]
    column = np.minimum(nearest, offsets.shape[1] - 1)
    nearest -= magnitude[at] < nearest - offsets[indexes[at], column]
    symbols[at] = np.where(residual[at] < 0, -nearest, nearest)
    return symbols
