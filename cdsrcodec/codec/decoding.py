"""Stream to symbols, exactly; symbols to a picture of native or 4x size."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cdsrcodec.codec.enlarging import enlarge_pixels, enlarger_network, enlarging_bytes
from cdsrcodec.codec.loading import decoder_network, entropy_model, latent_upscaler
from cdsrcodec.codec.painting import paint
from cdsrcodec.codec.tiles import (
    ALPHA_BYTES,
    ASSEMBLED_BYTES,
    LATENT_4X,
    NEEDS,
    PIXEL_BYTES,
    CodecNeeds,
    Tiling,
)
from cdsrcodec.container import QUALITY_STEPS, Header, read_stream
from cdsrcodec.entropy import SymbolReader, symbol_crc
from cdsrcodec.errors import DesyncError
from cdsrcodec.layers.memory import one_memory_error
from cdsrcodec.layers.precision import in_precision, resolve_precision
from cdsrcodec.layers.tiling import OnStep
from cdsrcodec.models.interface import LATENT_STRIDE, DecoderNetwork, hyper_size
from cdsrcodec.models.registry import CodecEntry
from cdsrcodec.models.stream_weights import codec_of_stream
from cdsrcodec.sr.registry import UPSCALE, UpscalerEntry, upscaler_for

CRC_MESSAGE = (
    "the bytes are intact but decode to other symbols than were encoded. "
    "hint: please report this with the file"
)


class Symbols(NamedTuple):
    """The integers of a stream and the latent that they stand for."""

    header: Header
    runs: list[NDArray[np.int32]]  # z, then the steps of y, in coding order
    y_hat_gained: Tensor  # (1, M, h, w) float32 on the CPU, gain still in


@one_memory_error()
def decode_symbols(data: bytes, entry: CodecEntry | None = None) -> Symbols:
    """The exact part of decoding, on the CPU.

    Args:
        data: the stream.
        entry: weights that it was made with; None for those that its tag stands for.

    Raises:
        FormatError, LimitError: not a stream that this reader takes.
        ModelError: it needs other weights.
        DesyncError: the symbols are not those that were encoded.
        MemoryError: memory runs out.
    """
    stream = read_stream(data)
    header = stream.header
    model = entropy_model(entry or codec_of_stream(header))
    height, width = latent_size(header.height_px, header.width_px)
    size = hyper_size(height, width)
    reader = SymbolReader(stream.payload)
    runs = [reader.read(model.hyper_indexes(*size), model.hyper)]
    z_symbols = torch.from_numpy(runs[0].reshape(1, -1, *size))
    reader.expect_more()
    with torch.inference_mode():
        walk = model.prior.walk(z_symbols, height, width)
        for step in range(model.prior.steps):
            prediction = walk.predict(step)
            runs.append(reader.read(prediction.indexes.numpy(), model.latent))
            if step < model.prior.steps - 1:
                reader.expect_more()
            walk.fill(step, prediction, torch.from_numpy(runs[-1]))
        reader.finish()
        if symbol_crc(runs) != header.symbol_crc:
            raise DesyncError(CRC_MESSAGE)
        return Symbols(header, runs, walk.y_hat_gained())


@one_memory_error()
def decode_pixels(
    data: bytes,
    *,
    sr: int,
    upscaler: str,
    device: torch.device,
    upscaler_weights: Path | None = None,
    precision: str = "fp32",
    max_memory_bytes: int | None = None,
    on_step: OnStep | None = None,
) -> NDArray[np.uint8]:
    """Decode a stream to a picture.

    Args:
        data: the stream.
        sr: 1 for native size, 4 for four times that each way.
        upscaler: which 4x upscaler; not used for sr = 1.
        device: where the networks run.
        upscaler_weights: of an upscaler that takes a user's, see enlarge_pixels.
        precision: of the network that makes the 4x picture, see layers.precision; symbols
            and the native picture, which 8 bits resolve finer than bf16, have their own.
        max_memory_bytes: what the process may take; None for no limit.
        on_step: told the tiles of the picture, done and in all.

    Returns:
        (sr H, sr W, 3) uint8 RGB.

    Raises:
        ValueError: sr is neither 1 nor 4, or there is no such precision.
        LimitError: the picture needs more than max_memory_bytes.
        ModelError: the upscaler does not read this codec's files, or has no weights.
        MemoryError: memory runs out, also that of a GPU.
        CdsrError: as decode_symbols.
    """
    if sr not in (1, UPSCALE):
        raise ValueError(f"sr must be 1 or {UPSCALE}, not {sr}")
    precision = resolve_precision(precision, device)
    header = read_stream(data).header
    entry = codec_of_stream(header)
    chosen = upscaler_for(upscaler, entry.name) if sr == UPSCALE else None
    is_latent = chosen is not None and chosen.codec is not None
    of_latent, of_pixels = (chosen, None) if is_latent else (None, chosen)
    tiling = _tiling_of(entry.name, header, of_pixels, sr, max_memory_bytes)
    # Networks first, which are kept: that weights are missing is told before symbols take time.
    decoder = decoder_network(entry, device)
    network = decoder if of_latent is None else latent_upscaler(of_latent, device)
    if of_pixels is not None:
        enlarger_network(of_pixels, upscaler_weights, device)
    paint_symbols = partial(_synthesise, decode_symbols(data), decoder)
    if of_latent is not None:
        return paint_symbols(network, device, UPSCALE, tiling, precision, on_step)
    is_last = of_pixels is None
    x_hat = paint_symbols(network, device, 1, tiling, "fp32", on_step if is_last else None)
    if is_last:
        return x_hat
    return enlarge_pixels(
        x_hat,
        upscaler=upscaler,
        weights=upscaler_weights,
        device=device,
        precision=precision,
        max_memory_bytes=max_memory_bytes,
        on_step=on_step,
    )


def native_decoding_bytes(needs: CodecNeeds, size_px: tuple[int, int]) -> int:
    """The least memory in which a codec can decode a picture of this height and width."""
    height, width = latent_size(*size_px)
    pixel_count = size_px[0] * size_px[1]
    in_tiles_bytes = PIXEL_BYTES * pixel_count + 2 * needs.latent_bytes * height * width
    in_tiles_bytes += needs.synthesis.least_bytes((height, width))
    most_bytes = max(
        needs.walking_bytes((height, width)), ASSEMBLED_BYTES * pixel_count, in_tiles_bytes
    )
    return ALPHA_BYTES * pixel_count + most_bytes


def latent_size(height_px: int, width_px: int) -> tuple[int, int]:
    """Positions of the latent of a picture."""
    return -(-height_px // LATENT_STRIDE), -(-width_px // LATENT_STRIDE)


def _tiling_of(
    codec: str,
    header: Header,
    enlarger: UpscalerEntry | None,
    sr: int,
    max_memory_bytes: int | None,
) -> Tiling:
    """The tiles of the network that reads the latent, within a limit of memory.

    That is g_s where the picture is to be native, or an upscaler of pixels follows; else
    the latent upscaler.
    """
    needs = NEEDS[codec]
    size_px = (header.height_px, header.width_px)
    size = latent_size(*size_px)
    positions = size[0] * size[1]
    elsewhere_bytes = needs.walking_bytes(size)
    if enlarger is not None:
        sr = 1
        elsewhere_bytes = max(elsewhere_bytes, enlarging_bytes(enlarger, size_px))
    alpha_bytes = ALPHA_BYTES * size_px[0] * size_px[1]
    pixel_count = size_px[0] * size_px[1] * sr**2
    elsewhere_bytes = max(elsewhere_bytes, ASSEMBLED_BYTES * pixel_count)
    return (needs.synthesis if sr == 1 else LATENT_4X[codec]).within(
        max_memory_bytes,
        alpha_bytes + PIXEL_BYTES * pixel_count + 2 * needs.latent_bytes * positions,
        size,
        elsewhere_bytes=alpha_bytes + elsewhere_bytes,
    )


@torch.inference_mode()
def _synthesise(
    symbols: Symbols,
    decoder: DecoderNetwork,
    network: Callable[[Tensor, Tensor], Tensor],
    device: torch.device,
    sr: int,
    tiling: Tiling,
    precision: str,
    on_step: OnStep | None,
) -> NDArray[np.uint8]:
    """The picture that network makes of (y_hat, level), (sr H, sr W, 3) uint8."""
    header = symbols.header
    level = torch.tensor([header.quality_code / QUALITY_STEPS], device=device)
    compute = in_precision(lambda y_hat: network(y_hat, level), precision, device)
    return paint(
        lambda tile: compute(decoder.dequantise(tile.to(device), level)),
        symbols.y_hat_gained,
        (header.height_px * sr, header.width_px * sr),
        scale=LATENT_STRIDE * sr,
        tiling=tiling,
        on_step=on_step,
    )
