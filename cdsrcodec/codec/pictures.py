"""Stream to a whole picture: pixels, alpha plane and metadata."""

from __future__ import annotations

from pathlib import Path

import torch
from PIL import Image

from cdsrcodec.chunks.sidecar import alpha_of, sidecar_of
from cdsrcodec.codec.decoding import decode_pixels
from cdsrcodec.container import read_stream
from cdsrcodec.imageio.assembly import assemble
from cdsrcodec.layers.tiling import OnStep
from cdsrcodec.sr.registry import UPSCALE


def decode_picture(
    data: bytes,
    *,
    sr: int,
    upscaler: str,
    device: torch.device,
    upscaler_weights: Path | None = None,
    precision: str = "fp32",
    max_memory_bytes: int | None = None,
    on_step: OnStep | None = None,
    in_source_space: bool = True,
) -> tuple[Image.Image, tuple[str, ...]]:
    """Decode a stream with all that stands beside its symbols.

    Args:
        data: the stream.
        sr: as decode_pixels.
        upscaler: as decode_pixels.
        device: as decode_pixels.
        upscaler_weights: as decode_pixels.
        precision: as decode_pixels.
        max_memory_bytes: as decode_pixels.
        on_step: as decode_pixels.
        in_source_space: convert to the ICC profile of the source where the stream has one;
            otherwise the picture is in sRGB, and has none.

    Returns:
        The picture, L, LA, RGB or RGBA with its metadata in `info`, and a line for each
        optional chunk that was skipped because it is malformed.

    Raises:
        FormatError: the alpha plane is malformed.
        CdsrError, ValueError: as decode_pixels.
    """
    stream = read_stream(data)
    alpha, sidecar = alpha_of(stream), sidecar_of(stream)
    pixels = decode_pixels(
        data,
        sr=sr,
        upscaler=upscaler,
        device=device,
        upscaler_weights=upscaler_weights,
        precision=precision,
        max_memory_bytes=max_memory_bytes,
        on_step=on_step,
    )
    image = assemble(
        pixels,
        alpha,
        sidecar.metadata if in_source_space else sidecar.metadata.without({"icc"}),
        is_grey=sidecar.origin.is_grey,
        scale=sr,
        size_px=sidecar.full_size_px if sr == UPSCALE else None,
    )
    return image, sidecar.warnings
