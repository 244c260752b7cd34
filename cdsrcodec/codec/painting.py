"""Runs a network tile by tile into an 8-bit picture."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cdsrcodec.codec.shortage import in_smaller_tiles
from cdsrcodec.codec.tiles import Tiling
from cdsrcodec.layers.tiling import OnStep, Span, run_tiled


def paint(
    network: Callable[[Tensor], Tensor],
    x: Tensor,
    size_px: tuple[int, int],
    *,
    scale: int,
    tiling: Tiling,
    on_step: OnStep | None = None,
) -> NDArray[np.uint8]:
    """Run a network over x in tiles, round to 8 bits, and cut to size.

    Where memory runs out, it begins anew with tiles of half the side.

    Args:
        network: (1, C, h, w) to RGB (1, 3, scale h, scale w), nominally [0, 1].
        x: (1, C, H, W), latent or picture.
        size_px: height and width of the result, at most scale H and scale W.
        scale: pixels a position of x.
        tiling: of the network, in positions of x.
        on_step: told the tiles done and in all.

    Returns:
        (height, width, 3) uint8.

    Raises:
        MemoryError: it runs out with the smallest tiles too.
    """
    pixels = np.empty((*size_px, 3), np.uint8)
    in_smaller_tiles(
        lambda core: _paint_tiles(network, x, pixels, scale, core, tiling.halo, on_step),
        tiling.core,
    )
    return pixels


def _paint_tiles(
    network: Callable[[Tensor], Tensor],
    x: Tensor,
    pixels: NDArray[np.uint8],
    scale: int,
    core: int,
    halo: int,
    on_step: OnStep | None,
) -> None:
    total = int(np.prod([-(-side // core) for side in x.shape[-2:]]))
    done = 0

    def store(tile: Tensor, rows: Span, columns: Span) -> None:
        """Round a tile into its place in the picture, and tell that it is done."""
        nonlocal done
        target = pixels[slice(*rows), slice(*columns)]
        rounded = tile[0].float().mul(255).round_().clamp_(0, 255).to(torch.uint8)
        # Padding of the last row and column ends outside the picture.
        target[:] = rounded.permute(1, 2, 0).cpu().numpy()[: target.shape[0], : target.shape[1]]
        done += 1
        if on_step is not None:
            on_step(done, total)

    run_tiled(network, x, store, grain=1, scale=scale, core=core, halo=halo)
