"""Four times larger from pixels: the upscalers that need no latent."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cdsrcodec.codec.loading import esrgan_network, pixel_enlarger
from cdsrcodec.codec.painting import paint
from cdsrcodec.codec.tiles import ESRGAN_HALO_PX, PIXEL_CORE_PX
from cdsrcodec.imageio.resampling import FILTERS, interpolate
from cdsrcodec.sr.latent import UPSCALE
from cdsrcodec.sr.registry import UpscalerEntry, upscaler_for


def enlarge_pixels(
    pixels: NDArray[np.uint8], *, upscaler: str, weights: Path | None, device: torch.device
) -> NDArray[np.uint8]:
    """Enlarge a picture without its latent.

    Args:
        pixels: (H, W, 3) uint8 RGB.
        upscaler: one of sr.registry.PIXEL_UPSCALERS.
        weights: of a network: see sr.esrgan.load_esrgan for esrgan, sr.enlargers.load_enlarger
            for the others; None for those it comes with.
        device: where a network runs.

    Returns:
        (4H, 4W, 3) uint8 RGB.

    Raises:
        ModelError: no such upscaler for pixels, or no weights for it.
    """
    entry = upscaler_for(upscaler, None)
    if upscaler in FILTERS:
        return interpolate(pixels, UPSCALE, upscaler)
    network, halo = _network_and_halo(entry, weights, device)
    x = torch.from_numpy(np.require(pixels, requirements=["C", "W"])).permute(2, 0, 1)[None]

    def enlarge(tile: Tensor) -> Tensor:
        x_sr: Tensor = network(tile.to(device).float() / 255)
        return x_sr

    height_px, width_px = pixels.shape[:2]
    with torch.inference_mode():
        return paint(
            enlarge,
            x,
            (height_px * UPSCALE, width_px * UPSCALE),
            scale=UPSCALE,
            core=PIXEL_CORE_PX,
            halo=halo,
        )


def _network_and_halo(
    entry: UpscalerEntry, weights: Path | None, device: torch.device
) -> tuple[nn.Module, int]:
    if entry.network is None:
        return esrgan_network(weights, device), ESRGAN_HALO_PX
    network = pixel_enlarger(entry, weights, device)
    return network, network.reach_px
