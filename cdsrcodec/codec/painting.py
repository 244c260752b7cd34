"""Runs a network tile by tile into an 8-bit picture."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cdsrcodec.layers.tiling import Span, run_tiled


def paint(
    network: Callable[[Tensor], Tensor],
    x: Tensor,
    size_px: tuple[int, int],
    *,
    scale: int,
    core: int,
    halo: int,
) -> NDArray[np.uint8]:
    """Run a network over x in tiles, round to 8 bits, and cut to size.

    Args:
        network: (1, C, h, w) to RGB (1, 3, scale h, scale w), nominally [0, 1].
        x: (1, C, H, W), latent or picture.
        size_px: height and width of the result, at most scale H and scale W.
        scale: pixels a position of x.
        core: see run_tiled.
        halo: see run_tiled.

    Returns:
        (height, width, 3) uint8.
    """
    pixels = np.empty((*size_px, 3), np.uint8)

    def store(tile: Tensor, rows: Span, columns: Span) -> None:
        target = pixels[slice(*rows), slice(*columns)]
        rounded = tile[0].mul(255).round_().clamp_(0, 255).to(torch.uint8)
        # Padding of the last row and column ends outside the picture.
        target[:] = rounded.permute(1, 2, 0).cpu().numpy()[: target.shape[0], : target.shape[1]]

    run_tiled(network, x, store, grain=1, scale=scale, core=core, halo=halo)
    return pixels
