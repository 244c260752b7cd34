"""Four times larger from pixels: the upscalers that need no latent."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cdsrcodec.codec.loading import esrgan_network, pixel_enlarger
from cdsrcodec.codec.painting import paint
from cdsrcodec.codec.tiles import (
    ALPHA_BYTES,
    ASSEMBLED_BYTES,
    ESRGAN,
    PIXEL_BYTES,
    PIXELS,
    Tiling,
    check_memory,
)
from cdsrcodec.imageio.resampling import FILTERS, interpolate
from cdsrcodec.layers.memory import one_memory_error
from cdsrcodec.layers.precision import in_precision
from cdsrcodec.layers.tiling import OnStep
from cdsrcodec.sr.enlargers import NETWORKS
from cdsrcodec.sr.registry import UPSCALE, UpscalerEntry, upscaler_for

# Pillow's picture, its bytes in pieces, and these put together.
INTERPOLATION_BYTES = 10


@one_memory_error()
def enlarge_pixels(
    pixels: NDArray[np.uint8],
    *,
    upscaler: str,
    weights: Path | None,
    device: torch.device,
    precision: str = "fp32",
    max_memory_bytes: int | None = None,
    on_step: OnStep | None = None,
) -> NDArray[np.uint8]:
    """Enlarge a picture without its latent.

    Args:
        pixels: (H, W, 3) uint8 RGB.
        upscaler: one of sr.registry.PIXEL_UPSCALERS.
        weights: of a network: see sr.esrgan.load_esrgan for esrgan, sr.enlargers.load_enlarger
            for the others; None for those it comes with.
        device: where a network runs.
        precision: of a network, see layers.precision.
        max_memory_bytes: what the process may take; None for no limit.
        on_step: told the tiles of a network, done and in all.

    Returns:
        (4H, 4W, 3) uint8 RGB.

    Raises:
        ModelError: no such upscaler for pixels, or no weights for it.
        LimitError: the picture needs more than max_memory_bytes.
        ValueError: no such precision.
        MemoryError: memory runs out, also that of a GPU.
    """
    entry = upscaler_for(upscaler, None)
    height_px, width_px = size_px = (pixels.shape[0], pixels.shape[1])
    check_memory(max_memory_bytes, enlarging_bytes(entry, size_px))
    network = enlarger_network(entry, weights, device)
    if network is None:
        return interpolate(pixels, UPSCALE, upscaler)
    compute = in_precision(network, precision, device)
    x = torch.from_numpy(np.require(pixels, requirements=["C", "W"])).permute(2, 0, 1)[None]

    def enlarge(tile: Tensor) -> Tensor:
        """A tile of the picture, enlarged."""
        return compute(tile.to(device).float() / 255)

    with torch.inference_mode():
        return paint(
            enlarge,
            x,
            (height_px * UPSCALE, width_px * UPSCALE),
            scale=UPSCALE,
            tiling=_tiling_of(entry).within(max_memory_bytes, _held_bytes(size_px), size_px),
            on_step=on_step,
        )


def enlarger_network(
    entry: UpscalerEntry, weights: Path | None, device: torch.device
) -> nn.Module | None:
    """The network of an upscaler of pixels, ready to run; None of an interpolation.

    Args:
        entry: the upscaler.
        weights: as enlarge_pixels.
        device: where it is to run.

    Raises:
        ModelError: no weights for it.
        MemoryError: memory runs out.
    """
    if entry.name in FILTERS:
        return None
    if entry.network is None:
        return esrgan_network(weights, device)
    return pixel_enlarger(entry, weights, device)


def enlarging_bytes(entry: UpscalerEntry, size_px: tuple[int, int]) -> int:
    """The least memory in which a picture of this height and width can be enlarged."""
    enlarged_px = size_px[0] * size_px[1] * UPSCALE**2
    alpha_bytes = ALPHA_BYTES * size_px[0] * size_px[1]
    if entry.name in FILTERS:
        return alpha_bytes + INTERPOLATION_BYTES * enlarged_px
    in_tiles_bytes = _held_bytes(size_px) + _tiling_of(entry).least_bytes(size_px)
    return max(alpha_bytes + ASSEMBLED_BYTES * enlarged_px, in_tiles_bytes)


def _held_bytes(size_px: tuple[int, int]) -> int:
    """Both pictures, and the alpha plane of the small one."""
    return (PIXEL_BYTES * (1 + UPSCALE**2) + ALPHA_BYTES) * size_px[0] * size_px[1]


def _tiling_of(entry: UpscalerEntry) -> Tiling:
    if entry.network is None:
        return ESRGAN
    return replace(PIXELS, halo=NETWORKS[entry.network].reach_px)
