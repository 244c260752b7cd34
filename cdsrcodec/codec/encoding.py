"""Picture to stream."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cdsrcodec.codec.analysis import TileFeatures, analyse
from cdsrcodec.codec.decoding import (
    decode_pixels,
    decode_symbols,
    latent_size,
    native_decoding_bytes,
)
from cdsrcodec.codec.loading import EntropyModel, entropy_model
from cdsrcodec.codec.refinement import STEPS_OF_EFFORT, LatentRefiner
from cdsrcodec.codec.rounding import round_along, round_hyper
from cdsrcodec.codec.targets import Target, encode_to_target
from cdsrcodec.codec.tiles import ALPHA_BYTES, NEEDS, PIXEL_BYTES, CodecNeeds, Tiling
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
from cdsrcodec.entropy import SymbolWriter, symbol_crc
from cdsrcodec.errors import LimitError
from cdsrcodec.imageio.fidelity import mean_squared_error, psnr_of_mse_db
from cdsrcodec.layers.memory import one_memory_error
from cdsrcodec.layers.tiling import OnStep
from cdsrcodec.models.cdsr1 import lmbda_at
from cdsrcodec.models.registry import (
    DEFAULT_METRIC,
    CodecEntry,
    check_settings,
    codec_named,
    qualities_of,
)

EFFORT_BYTES = 650_000_000  # of main memory, in all: a refinement


@one_memory_error()
def encode_pixels(
    pixels: NDArray[np.uint8],
    *,
    quality: float | Target,
    codec: str,
    device: torch.device,
    metric: str = DEFAULT_METRIC,
    effort: int = 0,
    chunks: tuple[Chunk, ...] = (),
    max_memory_bytes: int | None = None,
    on_step: OnStep | None = None,
    verify: bool = True,
) -> bytes:
    """Code a picture, and decode the symbols again before anyone is given the stream.

    Args:
        pixels: (H, W, 3) uint8 RGB.
        quality: one that the codec codes at: of cdsr1 real, 1..8, rounded to the format's steps
            of 1/32; or what the file has to meet, which finds the quality.
        codec: name in the registry.
        device: where the transforms run.
        metric: what the weights were trained for.
        effort: 0..9: how long to refine the latent, each time that a quality is tried.
        chunks: what the stream holds beside the symbols.
        max_memory_bytes: what the process may take; None for no limit.
        on_step: told the steps of a refinement, done and in all.
        verify: False leaves out the decoding, to time coding alone.

    Raises:
        ValueError: the codec has no such quality, metric or effort.
        DesyncError: other symbols came back: a fault of the machine or of this program.
        LimitError: a picture that readers of the format refuse or that needs more than
            max_memory_bytes, or a target that no quality meets.
        ModelError: unknown codec, or its weights are not installed.
        MemoryError: memory runs out, also that of a GPU.
    """
    wanted = None if isinstance(quality, Target) else quality
    check_settings(codec, quality=wanted, metric=metric, effort=effort)
    size_px = (pixels.shape[0], pixels.shape[1])
    _check_size(*size_px)
    tiling, rest_bytes = _tiling_and_rest(
        NEEDS[codec], size_px, max_memory_bytes, is_search=wanted is None, refines=effort > 0
    )
    entry_at = partial(codec_named, codec, metric=metric)
    encoder = PictureEncoder(entry_at, pixels, device, effort, chunks, on_step, tiling, rest_bytes)
    if isinstance(quality, Target):
        encoder.features = TileFeatures()
        fitting, pixel_count = qualities_of(codec, metric), size_px[0] * size_px[1]
        data = encode_to_target(
            quality, fitting, encoder.encode, encoder.psnr_rgb_db, pixel_count=pixel_count
        )
    else:
        data = encoder.encode(quality)
    if verify:
        decode_symbols(data)
    return data


def _tiling_and_rest(
    needs: CodecNeeds,
    size_px: tuple[int, int],
    max_memory_bytes: int | None,
    *,
    is_search: bool,
    refines: bool,
) -> tuple[Tiling, int | None]:
    """The tiles of g_a within a limit of memory, and what that leaves for decoding again."""
    size = latent_size(*size_px)
    pixel_count = size_px[0] * size_px[1]
    held_bytes = (PIXEL_BYTES + ALPHA_BYTES) * pixel_count
    held_bytes += 3 * needs.latent_bytes * size[0] * size[1]
    if is_search:
        held_bytes += needs.features_bytes * pixel_count
    later_bytes = max(native_decoding_bytes(needs, size_px), EFFORT_BYTES if refines else 0)
    tiling = needs.analysis.within(
        max_memory_bytes, held_bytes, size, elsewhere_bytes=held_bytes + later_bytes
    )
    return tiling, None if max_memory_bytes is None else max_memory_bytes - held_bytes


def _check_size(height_px: int, width_px: int) -> None:
    max_pixels = Limits().max_pixels
    if max(height_px, width_px) > MAX_SIDE_PX or height_px * width_px > max_pixels:
        raise LimitError(
            f"{width_px}x{height_px} px is beyond the format's {max_pixels} px in all or "
            f"{MAX_SIDE_PX} px a side. hint: reduce or cut the picture"
        )


@dataclass
class PictureEncoder:
    """Codes one picture at any qualities; fields as of encode_pixels.

    `entry_at` gives the weights of a quality. `tiling` is that of g_a, `decoding_bytes` the
    limit of memory for decoding again. `features` saves work where one network
    serves several qualities.
    """

    entry_at: Callable[[float], CodecEntry]
    pixels: NDArray[np.uint8]
    device: torch.device
    effort: int
    chunks: tuple[Chunk, ...]
    on_step: OnStep | None
    tiling: Tiling | None = None
    decoding_bytes: int | None = None
    features: TileFeatures | None = None

    def encode(self, quality: float) -> bytes:
        """The stream at a quality: of the plain and the refined one, the better."""
        entry, quality_code = self.entry_at(quality), quality_code_of(quality)
        level = quality_code / QUALITY_STEPS
        features = self.features if entry.quality is None else None
        y_gained, z = analyse(entry, self.pixels, level, self.device, features, self.tiling)
        plain = self._write(entry, quality_code, y_gained, z)
        if self.effort == 0:
            return plain
        y_gained = LatentRefiner(entry, level, self.device).refine(
            self.pixels, y_gained, z, steps=STEPS_OF_EFFORT[int(self.effort)], on_step=self.on_step
        )
        lmbda = float(lmbda_at(torch.tensor([level])))
        refined = self._write(entry, quality_code, y_gained, z)
        return min(plain, refined, key=partial(self.cost, lmbda))

    def _write(self, entry: CodecEntry, quality_code: int, y_gained: Tensor, z: Tensor) -> bytes:
        writer = SymbolWriter()
        crc = symbol_crc(_code_latent(entropy_model(entry), y_gained, z, writer))
        height_px, width_px = self.pixels.shape[:2]
        tag = entry.entropy_tag()
        header = Header(entry.model_id, tag, quality_code, width_px, height_px, crc)
        return write_stream(Stream(header, self.chunks, writer.payload()))

    def cost(self, lmbda: float, data: bytes) -> float:
        """Of a stream: bits per pixel + lmbda * mean squared error in grey levels."""
        bpp = 8 * len(data) / (self.pixels.shape[0] * self.pixels.shape[1])
        return bpp + lmbda * self._mse(data)

    def psnr_rgb_db(self, data: bytes) -> float:
        """Of a stream's picture of native size."""
        return psnr_of_mse_db(self._mse(data))

    def _mse(self, data: bytes) -> float:
        x_hat = decode_pixels(
            data,
            sr=1,
            upscaler="latent",
            device=self.device,
            max_memory_bytes=self.decoding_bytes,
        )
        return mean_squared_error(self.pixels, x_hat)


def _code_latent(
    model: EntropyModel, y_gained: Tensor, z: Tensor, writer: SymbolWriter
) -> list[NDArray[np.int32]]:
    """Round along the walk, add the runs to the writer and return them."""
    z_symbols = round_hyper(model.prior, z)
    runs = [z_symbols.numpy().reshape(-1)]
    writer.add(runs[0], model.hyper_indexes(*z.shape[2:]), model.hyper)
    walk = model.prior.walk(z_symbols, *y_gained.shape[2:])
    for symbols, indexes in round_along(model, walk, y_gained):
        runs.append(symbols)
        writer.add(symbols, indexes, model.latent)
    return runs
