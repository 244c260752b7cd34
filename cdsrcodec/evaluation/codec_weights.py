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
from torch import Tensor

from cdsrcodec.codec import resolve_device
from cdsrcodec.codec.analysis import analyse
from cdsrcodec.codec.encoding import PictureEncoder
from cdsrcodec.codec.loading import decoder_network, entropy_model
from cdsrcodec.codec.rounding import round_along, round_hyper
from cdsrcodec.container import QUALITY_STEPS, quality_code_of
from cdsrcodec.evaluation.bd_rate import bd_rate_percent, make_curve
from cdsrcodec.evaluation.metrics import psnr_rgb_db
from cdsrcodec.evaluation.scripts import exit_code, require_qualities
from cdsrcodec.models.registry import CODECS, CodecEntry
from cdsrcodec.training.frozen_codecs import codec_of_weights
from cdsrcodec.training.patches import ImageFolder, as_pixels, middles

CROP_PX = 256
COLUMNS = ("folder", "quality", "bpp", "psnr_rgb_db", "psnr_of_start_db")


class Coded(NamedTuple):
    """A crop at one quality.

    Attributes:
        stream_bytes: of the whole file.
        y_hat_gained: (1, M, h, w), what its symbols stand for.
    """

    stream_bytes: int
    y_hat_gained: Tensor


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


def level_of(quality: float) -> float:
    """0 for quality 1, in the format's steps."""
    return quality_code_of(quality) / QUALITY_STEPS


@torch.inference_mode()
def code(entry: CodecEntry, crop: NDArray[np.uint8], quality: float, device: torch.device) -> Coded:
    """Code a crop (H, W, 3)."""
    data = PictureEncoder(lambda _: entry, crop, device, 0, (), None).encode(quality)
    # The stream's own decoder is the package's; the symbols are found once more.
    y_gained, z = analyse(entry, crop, level_of(quality), device)
    model = entropy_model(entry)
    walk = model.prior.walk(round_hyper(model.prior, z), *y_gained.shape[2:])
    round_along(model, walk, y_gained)
    return Coded(len(data), walk.y_hat_gained())


@torch.inference_mode()
def paint(
    entry: CodecEntry, coded: Coded, quality: float, device: torch.device
) -> NDArray[np.uint8]:
    """The picture (16 h, 16 w, 3) that a folder's decoder makes of what was coded."""
    level = torch.tensor([level_of(quality)], device=device)
    decoder = decoder_network(entry, device)
    x_hat = decoder(decoder.dequantise(coded.y_hat_gained.to(device), level), level)
    pixels: NDArray[np.uint8] = as_pixels(x_hat)[0]
    return pixels


def measure(
    start: CodecEntry,
    entry: CodecEntry,
    crops: Sequence[NDArray[np.uint8]],
    quality: float,
    device: torch.device,
) -> Means:
    """The means over crops (H, W, 3) with sides that 16 divides."""
    rows = []
    for crop in crops:
        former = code(start, crop, quality, device)
        coded = former if entry == start else code(entry, crop, quality, device)
        psnr_db, of_start_db = (
            psnr_rgb_db(crop, paint(entry, which, quality, device)) for which in (coded, former)
        )
        rows.append((8 * coded.stream_bytes / crop[..., 0].size, psnr_db, of_start_db))
    return Means(*np.mean(rows, axis=0).tolist())


def compare(args: argparse.Namespace) -> Iterator[str]:
    """A line for each folder and quality of the arguments of `main`, and its BD-rate after them.

    Raises:
        TrainingError: a folder holds no weights of a codec.
        ModelError: they are damaged, or have no such quality.
        FileAccessError, InputImageError, LimitError: as of training.patches.ImageFolder.
    """
    device = resolve_device("auto")
    entries = [entry_of(folder) for folder in (args.start, *args.folders)]
    qualities = args.qualities or [q for q in CODECS[entries[0].name].qualities if q.is_integer()]
    for entry in entries:
        require_qualities(entry.name, qualities)
    crops = middles(ImageFolder(args.photos, min_side_px=CROP_PX), args.count, CROP_PX)
    anchor = None
    for entry in entries:
        points = []
        for quality in qualities:
            points.append(measure(entries[0], entry, crops, quality, device))
            figures = (f"{points[-1].bpp:.4f}", *(f"{value:.3f}" for value in points[-1][1:]))
            yield "\t".join((str(entry.folder), f"{quality:g}", *figures)) + "\n"
        curve = make_curve(*zip(*(point[:2] for point in points), strict=True))
        if anchor is None:
            anchor = curve
        else:
            bd_rate = bd_rate_percent(anchor, curve)
            yield f"{entry.folder}\tBD-rate against START\t{bd_rate:+.2f} %\n"


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

    def run() -> None:
        sys.stdout.write("\t".join(COLUMNS) + "\n")
        for line in compare(args):
            sys.stdout.write(line)
            sys.stdout.flush()

    return exit_code(run)


if __name__ == "__main__":
    sys.exit(main())
