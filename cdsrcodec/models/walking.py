"""How the integer networks go through a large latent: in tiles, to the very same integers.

So their memory beyond inputs and outputs does not grow with the picture. Zero padding is at the
latent's own borders alone, as in one piece: that at the borders of a tile stays in its halo.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from cdsrcodec.layers.tiling import Span, run_tiled
from cdsrcodec.models.interface import HYPER_STRIDE

TILE_CORE = 128
"""Side of a tile without its halo, in latent positions; a multiple of HYPER_STRIDE."""
# Three 3x3 convolutions, at the size of z and twice and four times that, see 1.75 positions far.
_H_S_HALO = 2


def run_h_s(h_s: Callable[[Tensor], Tensor], z_symbols: Tensor, out: Tensor, core: int) -> None:
    """Fill `out` with h_s of z_symbols, cut to its size.

    Args:
        h_s: (1, N, a, b) int32 symbols to (1, C, 4a, 4b).
        z_symbols: (1, N, ceil(h/4), ceil(w/4)) int32.
        out: (1, C, h, w) of a type that holds what h_s gives.
        core: of the tiles, as TILE_CORE.
    """

    def store(tile: Tensor, rows: Span, columns: Span) -> None:
        """Put a tile into its place; the last ones may reach beyond `out`."""
        target = out[..., slice(*rows), slice(*columns)]
        target.copy_(tile[..., : target.shape[2], : target.shape[3]])

    run_tiled(
        h_s,
        z_symbols,
        store,
        grain=1,
        scale=HYPER_STRIDE,
        core=core // HYPER_STRIDE,
        halo=_H_S_HALO,
    )
