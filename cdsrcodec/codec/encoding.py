"""Picture to stream."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cdsrcodec.codec.decoding import decode_symbols
from cdsrcodec.codec.loading import EntropyModel, encoder_network, entropy_model
from cdsrcodec.codec.tiles import CORE_1X, HALO
from cdsrcodec.container import QUALITY_STEPS, Header, Stream, quality_code_of, write_stream
from cdsrcodec.entropy import MAX_SYMBOL, SymbolWriter, TableSet, symbol_crc
from cdsrcodec.layers.blocks import at_level
from cdsrcodec.layers.integer import ONE
from cdsrcodec.layers.padding import pad_to_multiple
from cdsrcodec.layers.tiling import Span, run_tiled
from cdsrcodec.models.cdsr1 import LATENT_STRIDE, ROUNDING_RATE_WEIGHT
from cdsrcodec.models.context_prior import STEPS
from cdsrcodec.models.integer_prior import LatentWalk
from cdsrcodec.models.registry import CodecEntry, codec_named


def encode_pixels(
    pixels: NDArray[np.uint8], *, quality: float, codec: str, device: torch.device
) -> bytes:
    """Code a picture and check that the stream decodes to the symbols coded.

    Args:
        pixels: (H, W, 3) uint8 RGB.
        quality: real, 1..8, rounded to the format's steps of 1/32.
        codec: name in the registry.
        device: where the transforms run.

    Raises:
        ValueError: quality is outside 1..8.
        ModelError: unknown codec.
        DesyncError: the check failed: a fault of the machine or of this program.
    """
    entry = codec_named(codec)
    quality_code = quality_code_of(quality)
    height_px, width_px = pixels.shape[:2]
    y_gained, z = analyse(entry, pixels, quality_code / QUALITY_STEPS, device)
    writer = SymbolWriter()
    crc = symbol_crc(_code_latent(entropy_model(entry), y_gained, z, writer))
    header = Header(entry.model_id, entry.entropy_tag(), quality_code, width_px, height_px, crc)
    data = write_stream(Stream(header, (), writer.payload()))
    decode_symbols(data)
    return data


@torch.inference_mode()
def analyse(
    entry: CodecEntry, pixels: NDArray[np.uint8], level: float, device: torch.device
) -> tuple[Tensor, Tensor]:
    """The float half of encoding.

    Args:
        entry: the codec.
        pixels: (H, W, 3) uint8 RGB.
        level: 0..7.
        device: where it runs.

    Returns:
        Gained latent (1, 224, ceil(H/16), ceil(W/16)) and z, a quarter of that each
        way, both float32 on the CPU.
    """
    encoder = encoder_network(entry, device)
    levels = torch.tensor([level], device=device)
    scale8 = at_level(encoder.g_a_scale8, levels)
    x = torch.from_numpy(np.require(pixels, requirements="W")).permute(2, 0, 1)[None]
    bands: list[list[Tensor]] = []

    def network(tile: Tensor) -> Tensor:
        # The picture stays uint8 and on the CPU; only tiles become float.
        tile = pad_to_multiple(tile.to(device).float() / 255, LATENT_STRIDE)
        y: Tensor = encoder.g_a(tile, scale8)
        return y

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
        residual = (y_gained[walk.masks[step]] - prediction.means / ONE).numpy()
        symbols = round_rate_aware(residual, indexes, model.gaussian)
        walk.fill(step, prediction, torch.from_numpy(symbols))
        runs.append(symbols)
        writer.add(symbols, indexes, model.gaussian)
    return runs


def round_rate_aware(
    residual: NDArray[np.float64], indexes: NDArray[np.int64], tables: TableSet
) -> NDArray[np.int32]:
    """The nearest integer, or the next one towards zero where its bits are worth it.

    Of the two it takes the one with the smaller error^2 + ROUNDING_RATE_WEIGHT * bits:
    one weight for all channels and qualities, since the learnt gain has scaled the
    latent such that a unit step is about as harmful everywhere.

    Args:
        residual: (n,) gained latent less its predicted mean.
        indexes: (n,) table of each element.
        tables: the Gaussian tables.

    Returns:
        (n,) symbols within +-MAX_SYMBOL.
    """
    nearest = np.clip(np.rint(residual), -MAX_SYMBOL, MAX_SYMBOL).astype(np.int32)
    sign = np.sign(nearest)
    lower = nearest - sign
    saved_bits = tables.bits(nearest, indexes) - tables.bits(lower, indexes)
    # (residual - lower)^2 - (residual - nearest)^2
    added_error = 1 + 2 * sign * (residual - nearest)
    use_lower = (ROUNDING_RATE_WEIGHT * saved_bits > added_error) & (sign != 0)
    return np.where(use_lower, lower, nearest)
