"""Compares weights of a codec while they are in training, on the middles of training pictures.

    python -m cdsrcodec.evaluation.codec_weights PHOTOS START FOLDER...

Each folder holds exported weights, entropy part, encoder and decoder, with one network for all
qualities. Crops of 256x256 px are coded as files are, and what comes out of each folder is told
beside START: mean bits per pixel and PSNR, the BD-rate against START over its curve, and for files
that START wrote the PSNR that each decoder makes of them. Development pictures stay untouched:
what is chosen here is measured there.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from cdsrcodec.codec import resolve_device
from cdsrcodec.codec.decoding import Symbols, decode_symbols
from cdsrcodec.codec.encoding import PictureEncoder
from cdsrcodec.codec.loading import decoder_network
from cdsrcodec.container import QUALITY_STEPS
from cdsrcodec.evaluation.bd_rate import bd_rate_percent, make_curve
from cdsrcodec.evaluation.metrics import psnr_rgb_db
from cdsrcodec.evaluation.scripts import exit_code, print_table, require_qualities
from cdsrcodec.models.registry import CODECS, CodecEntry
from cdsrcodec.training.frozen_codecs import codec_of_weights
from cdsrcodec.training.patches import ImageFolder, as_pixels, middles

CROP_PX = 256
COLUMNS = ("folder", "quality", "bpp", "psnr_rgb_db", "psnr_of_start_db")


class Means(NamedTuple):
    """Of one folder at one quality, over the crops.

    Attributes:
        bpp: of whole files.
        psnr_rgb_db: of their 8-bit pictures.
        psnr_of_start_db: of the pictures that this folder's decoder makes of START's files.
    """

    bpp: float
    psnr_rgb_db: float
    psnr_of_start_db: float


def entry_of(folder: Path) -> CodecEntry:
    """The weights in a folder.

    Raises:
        TrainingError: there are none of a codec.
    """
    name = codec_of_weights(folder)
    return CodecEntry(name, CODECS[name].model_ids["mse"], folder)


class Coded(NamedTuple):
    """A crop at one quality: the bytes of the whole file, and its symbols."""

    stream_bytes: int
    symbols: Symbols


def code(
    entry: CodecEntry, crops: Sequence[NDArray[np.uint8]], quality: float, device: torch.device
) -> list[Coded]:
    """Code crops (H, W, 3) by the encoder in a folder, and decode the symbols again."""
    encoders = (PictureEncoder(lambda _: entry, x, device, 0, (), None) for x in crops)
    streams = [encoder.encode(quality) for encoder in encoders]
    return [Coded(len(data), decode_symbols(data, entry)) for data in streams]


@torch.inference_mode()
def paint(entry: CodecEntry, symbols: Symbols, device: torch.device) -> NDArray[np.uint8]:
    """The picture (16 h, 16 w, 3) that the decoder in a folder makes of symbols."""
    decoder = decoder_network(entry, device)
    level = torch.tensor([symbols.header.quality_code / QUALITY_STEPS], device=device)
    x_hat = decoder(decoder.dequantise(symbols.y_hat_gained.to(device), level), level)
    pixels: NDArray[np.uint8] = as_pixels(x_hat)[0]
    return pixels


def measure(
    entry: CodecEntry,
    crops: Sequence[NDArray[np.uint8]],
    coded: Sequence[Coded],
    former: Sequence[Coded],
    device: torch.device,
) -> Means:
    """The means over crops (H, W, 3) with sides that 16 divides, of their files and START's."""
    rows = []
    for crop, own, of_start in zip(crops, coded, former, strict=True):
        psnr_db, of_start_db = (
            psnr_rgb_db(crop, paint(entry, which.symbols, device)) for which in (own, of_start)
        )
        rows.append((8 * own.stream_bytes / crop[..., 0].size, psnr_db, of_start_db))
    return Means(*np.mean(rows, axis=0).tolist())


def compare(args: argparse.Namespace) -> Iterator[tuple[str, ...]]:
    """A row for each folder and quality of the arguments of `main`, and its BD-rate after them.

    Raises:
        TrainingError: a folder holds no weights of a codec.
        ModelError: they are damaged, or have no such quality.
        FileAccessError, InputImageError, LimitError: as of training.patches.ImageFolder.
    """
    device = resolve_device("auto")
    start, *others = (entry_of(folder) for folder in (args.start, *args.folders))
    qualities = args.qualities or [q for q in CODECS[start.name].qualities if q.is_integer()]
    for entry in (start, *others):
        require_qualities(entry.name, qualities)
    crops = middles(ImageFolder(args.photos, min_side_px=CROP_PX), args.count, CROP_PX)
    former = {quality: code(start, crops, quality, device) for quality in qualities}
    anchor = None
    for entry in (start, *others):
        points = []
        for quality in qualities:
            coded = former[quality] if entry == start else code(entry, crops, quality, device)
            points.append(measure(entry, crops, coded, former[quality], device))
            bpp, *psnrs_db = points[-1]
            figures = (f"{bpp:.4f}", *(f"{psnr_db:.3f}" for psnr_db in psnrs_db))
            yield str(entry.folder), f"{quality:g}", *figures
        curve = make_curve(*zip(*(point[:2] for point in points), strict=True))
        if anchor is None:
            anchor = curve
        else:
            bd_rate = bd_rate_percent(anchor, curve)
            yield str(entry.folder), "BD-rate against START", f"{bd_rate:+.2f} %"


def main(argv: Sequence[str] | None = None) -> int:
    """Compare the folders of the arguments; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m cdsrcodec.evaluation.codec_weights",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("photos", type=Path, help="folder of training pictures")
    parser.add_argument("start", type=Path, metavar="START", help="folder of exported weights")
    parser.add_argument("folders", type=Path, nargs="+", metavar="FOLDER", help="others")
    parser.add_argument("--qualities", type=float, nargs="+", help="[all whole ones]")
    parser.add_argument("--count", type=int, default=32, help="of crops [32]")
    args = parser.parse_args(argv)
    return exit_code(lambda: print_table(COLUMNS, compare(args)))


if __name__ == "__main__":
    sys.exit(main())
