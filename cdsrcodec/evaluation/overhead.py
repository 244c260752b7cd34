"""What coding costs beyond the model: file bytes, integer and float cross-entropy.

python -m cdsrcodec.evaluation.overhead IMAGES_DIR --qualities 1 4 8
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

from cdsrcodec.codec import decode_symbols, encode_pixels
from cdsrcodec.codec.loading import entropy_model
from cdsrcodec.container import Limits
from cdsrcodec.evaluation.pictures import find_images
from cdsrcodec.evaluation.scripts import exit_code
from cdsrcodec.imageio.reader import read_rgb
from cdsrcodec.models.context_prior import crop_like, gaussian_bits
from cdsrcodec.models.interface import hyper_size
from cdsrcodec.models.registry import CodecEntry, codec_named
from cdsrcodec.training.codec_recipe import TrainableCdsr1, load_network

CODEC = "cdsr1"


class Cost(NamedTuple):
    """Of one picture: bytes of the file; bytes that its symbols cost by the model."""

    file_bytes: float
    integer_bytes: float  # cross-entropy under the integer tables, which coding uses
    float_bytes: float  # the same symbols under the float networks


def measure(
    entry: CodecEntry, network: TrainableCdsr1, pixels: NDArray[np.uint8], quality: float
) -> Cost:
    """Costs of (H, W, 3) pixels; the float networks see the latent that was coded."""
    cpu = torch.device("cpu")
    data = encode_pixels(pixels, quality=quality, codec=entry.name, device=cpu)
    symbols = decode_symbols(data)
    model = entropy_model(entry)
    height, width = symbols.y_hat_gained.shape[2:]
    z_size = hyper_size(height, width)
    z_symbols = torch.from_numpy(symbols.runs[0].reshape(1, -1, *z_size))
    bits = model.hyper.bits(symbols.runs[0], model.hyper_indexes(*z_size)).sum()
    z_bits = float(bits)
    walk = model.prior.walk(z_symbols, height, width)
    for step in range(model.prior.steps):
        prediction = walk.predict(step)
        run = symbols.runs[1 + step]
        bits += model.latent.bits(run, prediction.indexes.numpy()).sum()
        walk.fill(step, prediction, torch.from_numpy(run))
    with torch.inference_mode():
        medians = network.entropy_bottleneck.quantiles[:, :, 1][None, :, :, None]
        features = crop_like(network.h_s(z_symbols + medians), symbols.y_hat_gained)
        # Rounding is given by what was coded: the means move with the float networks.
        out = network.prior(features, symbols.y_hat_gained, lambda residual, _: residual)
        residual = (symbols.y_hat_gained - out.means).round()
        float_bits = z_bits + float(gaussian_bits(residual, out.scales).sum())
    return Cost(len(data), float(bits) / 8, float_bits / 8)


def summarise(quality: float, costs: Sequence[Cost]) -> str:
    """One line over all pictures of a quality."""
    total = Cost(*np.sum(np.array(costs), axis=0))
    over = total.file_bytes - total.integer_bytes
    return (
        f"{quality:g}\t{len(costs)}\t{total.file_bytes:.0f}\t{total.integer_bytes:.0f}\t"
        f"{100 * over / total.integer_bytes:+.3f} %\t{over / len(costs):.1f}\t"
        f"{100 * (total.integer_bytes / total.float_bytes - 1):+.3f} %"
    )


def report(folder: Path, qualities: Sequence[float]) -> Iterator[str]:
    """Lines of the table, for all pictures of a folder.

    Raises:
        FileAccessError, InputImageError: there are none, or one that cannot be read.
    """
    paths = find_images(folder)
    entry = codec_named(CODEC)
    network = TrainableCdsr1().eval()
    load_network(network, entry.folder)
    yield "quality\timages\tfile_bytes\tinteger_bytes\tover\tover_bytes_per_file\tinteger_vs_float"
    for quality in qualities:
        pictures = (read_rgb(path, max_pixels=Limits().max_pixels) for path in paths)
        yield summarise(quality, [measure(entry, network, x, quality) for x in pictures])


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table of a folder; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m cdsrcodec.evaluation.overhead", description=__doc__
    )
    parser.add_argument("images", type=Path)
    parser.add_argument("--qualities", type=float, nargs="+", default=[1.0, 4.0, 8.0])
    args = parser.parse_args(argv)

    def run() -> None:
        """Print each line as soon as it is there."""
        for line in report(args.images, args.qualities):
            sys.stdout.write(line + "\n")
            sys.stdout.flush()

    return exit_code(run)


if __name__ == "__main__":
    sys.exit(main())
