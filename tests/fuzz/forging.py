"""Valid streams that no encoder would write: any symbols at all, most of them escapes."""

from __future__ import annotations

from random import Random

import numpy as np
import torch
from numpy.typing import NDArray

from cdsrcodec.codec.loading import entropy_model
from cdsrcodec.container import MAX_QUALITY_CODE, Header, Stream, quality_code_of, write_stream
from cdsrcodec.entropy import MAX_SYMBOL, SymbolWriter, symbol_crc
from cdsrcodec.models.interface import LATENT_STRIDE, hyper_size
from cdsrcodec.models.registry import CodecEntry, codec_named

MAX_SIDE_PX = 48


def forge_stream(rng: Random, entry: CodecEntry | None = None) -> bytes:
    """A stream of up to MAX_SIDE_PX a side, of cdsr1 unless told, that a reader must decode.

    Its symbols drive the integer networks to where no picture does: saturated activations,
    the first and the last table, every length of escape.
    """
    entry = entry or codec_named("cdsr1")
    model, writer = entropy_model(entry), SymbolWriter()
    width_px, height_px = rng.randint(1, MAX_SIDE_PX), rng.randint(1, MAX_SIDE_PX)
    height, width = -(-height_px // LATENT_STRIDE), -(-width_px // LATENT_STRIDE)
    size = hyper_size(height, width)
    indexes = model.hyper_indexes(*size)
    runs = [_draw_symbols(rng, len(indexes))]
    writer.add(runs[0], indexes, model.hyper)
    with torch.inference_mode():
        z_symbols = torch.from_numpy(runs[0].reshape(1, -1, *size))
        walk = model.prior.walk(z_symbols, height, width)
        for step in range(model.prior.steps):
            prediction = walk.predict(step)
            indexes = prediction.indexes.numpy()
            runs.append(_draw_symbols(rng, len(indexes)))
            writer.add(runs[-1], indexes, model.latent)
            walk.fill(step, prediction, torch.from_numpy(runs[-1]))
    quality_code, crc = rng.randint(0, MAX_QUALITY_CODE), symbol_crc(runs)
    if entry.quality is not None:
        quality_code = quality_code_of(entry.quality)
    header = Header(entry.model_id, entry.entropy_tag(), quality_code, width_px, height_px, crc)
    return write_stream(Stream(header, (), writer.payload()))


def _draw_symbols(rng: Random, count: int) -> NDArray[np.int32]:
    """Symbols of one spread: all 0, small, of every magnitude, or all at the bound."""
    numbers = np.random.default_rng(rng.randrange(2**32))
    magnitudes = {
        "none": np.zeros(count),
        "small": numbers.geometric(0.5, count) - 1.0,
        "every": np.minimum(2 ** numbers.uniform(0, 15.1, count), MAX_SYMBOL),
        "most": np.full(count, float(MAX_SYMBOL)),
    }
    spread = rng.choice(list(magnitudes))
    signed = magnitudes[spread] * numbers.choice((-1, 1), count)
    symbols: NDArray[np.int32] = signed.astype(np.int32)
    return symbols
