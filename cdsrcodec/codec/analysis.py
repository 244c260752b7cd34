"""Picture to latent, in float: g_a tile by tile, then h_a."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cdsrcodec.codec.loading import encoder_network
from cdsrcodec.codec.shortage import in_smaller_tiles
from cdsrcodec.codec.tiles import NEEDS, Tiling
from cdsrcodec.layers.padding import pad_to_multiple
from cdsrcodec.layers.precision import in_precision
from cdsrcodec.layers.tiling import Span, run_tiled
from cdsrcodec.models.interface import LATENT_STRIDE, EncoderNetwork
from cdsrcodec.models.registry import CodecEntry


@dataclass
class TileFeatures:
    """What g_a computes of a picture before the quality enters, kept between the qualities.

    Attributes:
        core: side of the tiles; None before the first.
        tiles: a tensor for each.
    """

    core: int | None = None
    tiles: list[Tensor] = field(default_factory=list)


@torch.inference_mode()
def analyse(
    entry: CodecEntry,
    pixels: NDArray[np.uint8],
    level: float,
    device: torch.device,
    features: TileFeatures | None = None,
    tiling: Tiling | None = None,
) -> tuple[Tensor, Tensor]:
    """The float half of encoding.

    Where memory runs out, g_a begins anew with tiles of half the side.

    Args:
        entry: the codec.
        pixels: (H, W, 3) uint8 RGB.
        level: 0..7.
        device: where it runs.
        features: of this picture; filled by the first call, used by the others.
        tiling: of g_a; None for that of the codec where memory has no limit.

    Returns:
        Gained latent (1, M, ceil(H/16), ceil(W/16)) and z, a quarter of that each
        way, both float32 on the CPU.

    Raises:
        MemoryError: it runs out with the smallest tiles too.
    """
    encoder = encoder_network(entry, device)
    levels = torch.tensor([level], device=device)
    x = torch.from_numpy(np.require(pixels, requirements=["C", "W"])).permute(2, 0, 1)[None]
    tiling = tiling or NEEDS[entry.name].analysis
    kept_core = None if features is None else features.core
    y_gained = in_smaller_tiles(
        lambda core: _analyse_tiles(encoder, x, levels, features, core, tiling.halo),
        kept_core or tiling.core,
    )
    z = in_precision(encoder.to_hyper, "fp32", device)(y_gained)
    return y_gained.cpu().contiguous(), z.cpu().contiguous()


def _analyse_tiles(
    encoder: EncoderNetwork,
    x: Tensor,
    levels: Tensor,
    features: TileFeatures | None,
    core: int,
    halo: int,
) -> Tensor:
    """Gained latent (1, M, ., .) of x (1, 3, H, W) uint8."""
    if features is not None and features.core != core:
        features.core, features.tiles = core, []
    bands: list[list[Tensor]] = []
    kept = iter(() if features is None else tuple(features.tiles))

    def network(tile: Tensor) -> Tensor:
        """Gained latent of a tile, from its kept features where there are any."""
        of_tile = next(kept, None)
        if of_tile is None:
            # The picture stays uint8 and on the CPU; only tiles become float.
            tile = pad_to_multiple(tile.to(levels.device).float() / 255, LATENT_STRIDE)
            of_tile = encoder.features(tile)
            if features is not None:
                features.tiles.append(of_tile)
        return encoder.to_latent(of_tile, levels)

    def store(tile: Tensor, rows: Span, columns: Span) -> None:
        """Collect the tiles, which come row by row, in bands; the one at the left begins one."""
        if columns[0] == 0:
            bands.append([])
        bands[-1].append(tile)

    compute = in_precision(network, "fp32", levels.device)
    run_tiled(compute, x, store, grain=LATENT_STRIDE, scale=1, core=core, halo=halo)
    return torch.cat([torch.cat(band, 3) for band in bands], 2)
