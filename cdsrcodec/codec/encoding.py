"""Picture to stream."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cdsrcodec.codec.decoding import decode_pixels
from cdsrcodec.codec.loading import EntropyModel, encoder_network, entropy_model
from cdsrcodec.codec.targets import Target, encode_to_target
from cdsrcodec.codec.tiles import CORE_1X, HALO
from cdsrcodec.container import (
    MAX_SIDE_PX,
    QUALITY_STEPS,
    Chunk,
    Header,
    Limits,
    Stream,
    quality_code_of,
    write_stream,
)
from cdsrcodec.entropy import MAX_SYMBOL, SymbolWriter, symbol_crc
from cdsrcodec.errors import LimitError
from cdsrcodec.imageio.fidelity import psnr_db
from cdsrcodec.layers.blocks import at_level
from cdsrcodec.layers.integer import ONE
from cdsrcodec.layers.padding import pad_to_multiple
from cdsrcodec.layers.tiling import Span, run_tiled
from cdsrcodec.models.cdsr1 import LATENT_STRIDE
from cdsrcodec.models.context_prior import STEPS
from cdsrcodec.models.integer_prior import LatentWalk, gather_step
from cdsrcodec.models.registry import CodecEntry, codec_named


def encode_pixels(
    pixels: NDArray[np.uint8],
    *,
    quality: float | Target,
    codec: str,
    device: torch.device,
    chunks: tuple[Chunk, ...] = (),
) -> bytes:
    """Code a picture.

    Args:
        pixels: (H, W, 3) uint8 RGB.
        quality: real, 1..8, rounded to the format's steps of 1/32; or what the file has to
            meet, which finds the quality.
        codec: name in the registry.
        device: where the transforms run.
        chunks: what the stream holds beside the symbols.

    Raises:
        ValueError: quality is outside 1..8.
        LimitError: a picture that readers of the format refuse, or a target that no
            quality meets.
        ModelError: unknown codec.
    """
    entry = codec_named(codec)
    _check_size(*pixels.shape[:2])
    if not isinstance(quality, Target):
        return _encode_at(entry, pixels, quality, device, chunks)

    def psnr_rgb_db(data: bytes) -> float:
        x_hat = decode_pixels(data, sr=1, upscaler="latent", device=device)
        return psnr_db(np.subtract(pixels, x_hat, dtype=np.int32))

    features8: list[Tensor] = []
    return encode_to_target(
        quality,
        lambda quality: _encode_at(entry, pixels, quality, device, chunks, features8),
        psnr_rgb_db,
        pixel_count=pixels.shape[0] * pixels.shape[1],
    )


def _check_size(height_px: int, width_px: int) -> None:
    max_pixels = Limits().max_pixels
    if max(height_px, width_px) > MAX_SIDE_PX or height_px * width_px > max_pixels:
        raise LimitError(
            f"{width_px}x{height_px} px is beyond the format's {max_pixels} px in all or "
            f"{MAX_SIDE_PX} px a side. hint: reduce or cut the picture"
        )


def _encode_at(
    entry: CodecEntry,
    pixels: NDArray[np.uint8],
    quality: float,
    device: torch.device,
    chunks: tuple[Chunk, ...],
    features8: list[Tensor] | None = None,
) -> bytes:
    """The stream at a quality; features8 as of analyse."""
    quality_code = quality_code_of(quality)
    y_gained, z = analyse(entry, pixels, quality_code / QUALITY_STEPS, device, features8)
    height_px, width_px = pixels.shape[:2]
    writer = SymbolWriter()
    crc = symbol_crc(_code_latent(entropy_model(entry), y_gained, z, writer))
    header = Header(entry.model_id, entry.entropy_tag(), quality_code, width_px, height_px, crc)
    return write_stream(Stream(header, chunks, writer.payload()))


@torch.inference_mode()
def analyse(
    entry: CodecEntry,
    pixels: NDArray[np.uint8],
    level: float,
    device: torch.device,
    features8: list[Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """The float half of encoding.

    Args:
        entry: the codec.
        pixels: (H, W, 3) uint8 RGB.
        level: 0..7.
        device: where it runs.
        features8: kept between the qualities of one picture: what g_a computes before the
            quality enters, a tensor for each tile. An empty list is filled, a filled one used.

    Returns:
        Gained latent (1, 224, ceil(H/16), ceil(W/16)) and z, a quarter of that each
        way, both float32 on the CPU.
    """
    encoder = encoder_network(entry, device)
    levels = torch.tensor([level], device=device)
    scale8 = at_level(encoder.g_a_scale8, levels)
    x = torch.from_numpy(np.require(pixels, requirements=["C", "W"])).permute(2, 0, 1)[None]
    bands: list[list[Tensor]] = []
    kept = iter(tuple(features8 or ()))

    def network(tile: Tensor) -> Tensor:
        features = next(kept, None)
        if features is None:
            # The picture stays uint8 and on the CPU; only tiles become float.
            tile = pad_to_multiple(tile.to(device).float() / 255, LATENT_STRIDE)
            features = encoder.g_a.features8(tile)
            if features8 is not None:
                features8.append(features)
        return encoder.g_a.to_latent(features, scale8)

    def store(tile: Tensor, rows: Span, columns: Span) -> None:
        if columns[0] == 0:
            bands.append([])
        bands[-1].append(tile)

    run_tiled(network, x, store, grain=LATENT_STRIDE, scale=1, core=CORE_1X, halo=HALO)
    y = torch.cat([torch.cat(band, 3) for band in bands], 2)
    y_gained = y * at_level(entropy_model(entry).log_gain.to(device), levels).exp()
    z = encoder.h_a(y_gained)
    return y_gained.cpu().contiguous(), z.cpu().contiguous()


def _code_latent(
    model: EntropyModel, y_gained: Tensor, z: Tensor, writer: SymbolWriter
) -> list[NDArray[np.int32]]:
    """Round along the walk, add the runs to the writer and return them."""
    centred = (z - model.prior.medians / ONE).round()
    z_symbols = centred.clamp(-MAX_SYMBOL, MAX_SYMBOL).to(torch.int32)
    runs = [z_symbols.numpy().reshape(-1)]
    writer.add(runs[0], model.hyper_indexes(*z.shape[2:]), model.hyper)
    walk = LatentWalk(model.prior, z_symbols, *y_gained.shape[2:])
    for step in range(STEPS):
        prediction = walk.predict(step)
        indexes = prediction.indexes.numpy()
        residual = (gather_step(step, y_gained) - prediction.means / ONE).numpy()
        symbols = round_rate_aware(residual, indexes, model.rounding_offsets)
        walk.fill(step, prediction, torch.from_numpy(symbols))
        runs.append(symbols)
        writer.add(symbols, indexes, model.gaussian)
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
