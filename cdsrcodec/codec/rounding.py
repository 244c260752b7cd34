"""Which symbol a residual is coded as, and with that the whole latent."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cdsrcodec.codec.loading import EntropyModel
from cdsrcodec.entropy import MAX_SYMBOL
from cdsrcodec.layers.integer import ONE
from cdsrcodec.models.interface import Prior, Walk

_ROUNDED_AT_ONCE = 1 << 20  # symbols: the float64 of a whole step would take eight bytes each


def round_hyper(prior: Prior, z: Tensor) -> Tensor:
    """The (1, N, ., .) int32 symbols of z, which are about the medians."""
    centred = (z - prior.medians / ONE).round()
    return centred.clamp(-MAX_SYMBOL, MAX_SYMBOL).to(torch.int32)


def round_along(
    model: EntropyModel, walk: Walk, y_gained: Tensor
) -> list[tuple[NDArray[np.int32], NDArray[np.uint8]]]:
    """Round a gained latent (1, M, h, w) along a walk, which then has what a decoder will have.

    Returns:
        (symbols, table of each symbol) of the steps, in coding order.
    """
    runs = []
    for step in range(model.prior.steps):
        prediction = walk.predict(step)
        indexes = prediction.indexes.numpy()
        y = walk.gather(step, y_gained)
        symbols = np.empty(len(indexes), np.int32)
        for start in range(0, len(indexes), _ROUNDED_AT_ONCE):
            part = slice(start, start + _ROUNDED_AT_ONCE)
            residual = y[part].double().sub_(prediction.means[part], alpha=1 / ONE).numpy()
            symbols[part] = round_rate_aware(residual, indexes[part], model.rounding_offsets)
        walk.fill(step, prediction, torch.from_numpy(symbols))
        runs.append((symbols, indexes))
    return runs


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
