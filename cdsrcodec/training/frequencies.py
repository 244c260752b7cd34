"""Frequency tables of a `cdsr1` from the integers that it really codes.

A table stands for all elements whose predicted scale is about the same. Rounded residuals are no
Gaussians of that scale: there are more zeros, which the rate-aware rounding adds to, and more
large ones. So photographs are coded, and of each table the integers are counted.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from cdsrcodec.codec.analysis import analyse
from cdsrcodec.codec.loading import COUNTED, GAUSSIAN, EntropyModel, entropy_model, tables_of
from cdsrcodec.codec.rounding import round_along, round_hyper
from cdsrcodec.entropy import TableSet
from cdsrcodec.entropy.tables import TOTAL
from cdsrcodec.models.cdsr1 import LEVELS
from cdsrcodec.models.registry import CodecEntry, codec_named
from cdsrcodec.training.export import table_tensors
from cdsrcodec.training.patches import ImageFolder, middles
from cdsrcodec.training.storage import write_tensors

PHOTOGRAPHS = 192  # of the folder, evenly spaced by name
SIDE_PX = 256  # of their middles
_GAUSSIAN_SYMBOLS = 1000
"""What the Gaussian of a table counts beside what was seen: it alone says how rare what is next to
never seen is."""


class Counted(NamedTuple):
    """Bits of the counted integers by the tables before, and by the new ones."""

    bits_before: float
    bits: float


def count_frequencies(weights: Path, photographs: Path, target: Path) -> Counted:
    """Write an entropy part with counted tables, of another tag, from one of an exported codec.

    Networks and gains stay as they are, and so do the encoder and the decoder, to which it fits;
    the Gaussians stay beside the new tables, for files that were coded with them.

    Args:
        weights: folder of a codec's exported files.
        photographs: folder of pictures of at least SIDE_PX a side.
        target: file that is written.

    Raises:
        ModelError: the weights are missing or damaged.
        InputImageError, FileAccessError: no pictures, or they cannot be read.
        FileAccessError: the target cannot be written.
    """
    shipped = codec_named("cdsr1")
    entry = CodecEntry(shipped.name, shipped.model_id, weights)
    model = entropy_model(entry)  # which also checks that the file is there
    tensors = load_file(entry.entropy_file)
    pictures = middles(ImageFolder(photographs, min_side_px=SIDE_PX), PHOTOGRAPHS, SIDE_PX)
    counts = np.zeros(len(model.latent.counts), np.int64)
    for pixels in pictures:
        for level in range(LEVELS):
            counts += _count(entry, model, pixels, float(level))
    tables = _mix(tables_of(tensors, GAUSSIAN), counts)
    write_tensors(target, tensors | table_tensors(COUNTED, tables), model.metadata)
    return Counted(_bits(model.latent, counts), _bits(tables, counts))


@torch.inference_mode()
def _count(
    entry: CodecEntry, model: EntropyModel, pixels: NDArray[np.uint8], level: float
) -> NDArray[np.int64]:
    """How often each entry of the tables codes (H, W, 3) pixels at a level."""
    y_gained, z = analyse(entry, pixels, level, torch.device("cpu"))
    walk = model.prior.walk(round_hyper(model.prior, z), *y_gained.shape[2:])
    runs = round_along(model, walk, y_gained)
    entries = np.concatenate([model.latent.entries(*run) for run in runs])
    return np.bincount(entries, minlength=len(model.latent.counts))


def _mix(gaussians: TableSet, counts: NDArray[np.int64]) -> TableSet:
    """The distribution of the counts of each table, of both signs alike, near its Gaussian."""
    probabilities = []
    for index, seen in enumerate(np.split(counts, np.cumsum(gaussians.lengths)[:-1])):
        both_signs = seen.astype(np.float64)
        both_signs[:-1] = (seen[:-1] + seen[-2::-1]) / 2  # the last one is the escape
        mixed = both_signs + _GAUSSIAN_SYMBOLS * (gaussians.table(index) / TOTAL)
        probabilities.append(mixed / mixed.sum())
    return TableSet.from_probabilities(probabilities, gaussians.lows.tolist())


def _bits(tables: TableSet, counts: NDArray[np.int64]) -> float:
    return float((counts * np.log2(TOTAL / tables.counts)).sum())
