"""Stream to symbols, exactly; symbols to a picture of native or 4x size."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cdsrcodec.codec.enlarging import enlarge_pixels
from cdsrcodec.codec.loading import decoder_network, entropy_model, latent_upscaler
from cdsrcodec.codec.painting import paint
from cdsrcodec.codec.tiles import CORE_1X, CORE_4X, HALO
from cdsrcodec.container import QUALITY_STEPS, Header, read_stream
from cdsrcodec.entropy import SymbolReader, symbol_crc
from cdsrcodec.errors import DesyncError
from cdsrcodec.models.interface import LATENT_STRIDE, DecoderNetwork, hyper_size
from cdsrcodec.models.registry import codec_of_stream
from cdsrcodec.sr.latent import UPSCALE
from cdsrcodec.sr.registry import upscaler_for

CRC_MESSAGE = (
    "the bytes are intact but decode to other symbols than were encoded. "
    "hint: please report this with the file"
)


class Symbols(NamedTuple):
    """The integers of a stream and the latent that they stand for."""

    header: Header
    runs: list[NDArray[np.int32]]  # z, then the steps of y, in coding order
    y_hat_gained: Tensor  # (1, M, h, w) float32 on the CPU, gain still in


def decode_symbols(data: bytes) -> Symbols:
    """The exact part of decoding, on the CPU.

    Raises:
        FormatError, LimitError: not a stream that this reader takes.
        ModelError: it needs other weights.
        DesyncError: the symbols are not those that were encoded.
    """
    stream = read_stream(data)
    header = stream.header
    model = entropy_model(codec_of_stream(header))
    height = -(-header.height_px // LATENT_STRIDE)
    width = -(-header.width_px // LATENT_STRIDE)
    size = hyper_size(height, width)
    reader = SymbolReader(stream.payload)
    runs = [reader.read(model.hyper_indexes(*size), model.hyper)]
    z_symbols = torch.from_numpy(runs[0].reshape(1, -1, *size))
    reader.expect_more()
    with torch.inference_mode():
        walk = model.prior.walk(z_symbols, height, width)
        for step in range(model.prior.steps):
            prediction = walk.predict(step)
            runs.append(reader.read(prediction.indexes.numpy(), model.gaussian))
            walk.fill(step, prediction, torch.from_numpy(runs[-1]))
        reader.finish()
        if symbol_crc(runs) != header.symbol_crc:
            raise DesyncError(CRC_MESSAGE)
        return Symbols(header, runs, walk.y_hat_gained())


def decode_pixels(
    data: bytes,
    *,
    sr: int,
    upscaler: str,
    device: torch.device,
    upscaler_weights: Path | None = None,
) -> NDArray[np.uint8]:
    """Decode a stream to a picture.

    Args:
        data: the stream.
        sr: 1 for native size, 4 for four times that each way.
        upscaler: which 4x upscaler; not used for sr = 1.
        device: where the networks run.
        upscaler_weights: of an upscaler that takes a user's, see enlarge_pixels.

    Returns:
        (sr H, sr W, 3) uint8 RGB.

    Raises:
        ValueError: sr is neither 1 nor 4.
        ModelError: the upscaler does not read this codec's files, or has no weights.
        CdsrError: as decode_symbols.
    """
    if sr not in (1, UPSCALE):
        raise ValueError(f"sr must be 1 or {UPSCALE}, not {sr}")
    entry = codec_of_stream(read_stream(data).header)
    chosen = upscaler_for(upscaler, entry.name) if sr == UPSCALE else None
    symbols, decoder = decode_symbols(data), decoder_network(entry, device)
    if chosen is not None and chosen.codec is not None:
        network = latent_upscaler(chosen, device)
        return _synthesise(symbols, decoder, network, device, sr=UPSCALE, core=CORE_4X)
    x_hat = _synthesise(symbols, decoder, decoder, device, sr=1, core=CORE_1X)
    if chosen is None:
        return x_hat
    return enlarge_pixels(x_hat, upscaler=upscaler, weights=upscaler_weights, device=device)


@torch.inference_mode()
def _synthesise(
    symbols: Symbols,
    decoder: DecoderNetwork,
    network: Callable[[Tensor, Tensor], Tensor],
    device: torch.device,
    *,
    sr: int,
    core: int,
) -> NDArray[np.uint8]:
    """The picture that network makes of (y_hat, level), (sr H, sr W, 3) uint8."""
    header = symbols.header
    level = torch.tensor([header.quality_code / QUALITY_STEPS], device=device)
    return paint(
        lambda tile: network(decoder.dequantise(tile.to(device), level), level),
        symbols.y_hat_gained,
        (header.height_px * sr, header.width_px * sr),
        scale=LATENT_STRIDE * sr,
        core=core,
        halo=HALO,
    )
