"""Compares weights of 4x networks while they are in training, on the middles of training pictures.

    python -m cdsrcodec.evaluation.upscaler_weights PHOTOS FILE... [--vgg]

A FILE is of a run of `train upscaler` or `train enlarger`, or exported. Crops of 384x384 px are
reduced by 4; a 4x decoder gets their latents at each quality, a network of pixels the reduced
crops themselves, as it was trained, or with --coded what the codec makes of them. Told are the
means over the crops: PSNR, how much it is above that of the bicubic enlargement of the same
small picture, grid_loss, and with --vgg the distance of VGG features, the losses of
training.adversarial. Development pictures stay untouched: what is chosen here is measured there.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cdsrcodec.codec import resolve_device
from cdsrcodec.codec.upscalers import new_upscaler
from cdsrcodec.errors import TrainingError
from cdsrcodec.evaluation.metrics import psnr_rgb_db
from cdsrcodec.evaluation.scripts import exit_code, print_table, require_qualities
from cdsrcodec.imageio.resampling import downscale, interpolate
from cdsrcodec.models.registry import CDSR1
from cdsrcodec.sr.enlargers import NETWORK_KEY
from cdsrcodec.sr.latent import CODEC_KEY
from cdsrcodec.sr.registry import UPSCALE
from cdsrcodec.training.adversarial import grid_loss
from cdsrcodec.training.enlarger_recipe import load_trainable
from cdsrcodec.training.finished_runs import BLOCKS_KEY
from cdsrcodec.training.frozen_codecs import FrozenCodec, load_frozen
from cdsrcodec.training.patches import ImageFolder, as_pixels, as_tensor, middles
from cdsrcodec.training.storage import read_metadata
from cdsrcodec.training.upscaler_recipe import load_upscaler
from cdsrcodec.training.vgg import VggFeatures, load_vgg
from cdsrcodec.weights import WEIGHTS_FOLDER

CROP_PX = 384  # of the large picture; 96 px reduced, 6x6 positions of the latent
QUALITIES = (1.0, 3.0, 5.0, 7.0)
Enlarge = Callable[[Tensor, Tensor], Tensor]
"""x_sr (1, 3, 4P, 4P) of a latent (1, M, P/16, P/16) or pixels (1, 3, P, P), and a level (1,)."""


class Network(NamedTuple):
    """Attributes: `enlarge`, and whether it reads the `latent` in the place of pixels."""

    enlarge: Enlarge
    reads_latent: bool


class Means(NamedTuple):
    """Of one network at one quality, over the crops; quality 0 is not coded.

    Attributes:
        quality: of the codec.
        psnr_rgb_db: of the 8-bit picture.
        gain_db: over the bicubic enlargement of the small picture.
        grid_loss: see training.adversarial.
        vgg: relative distance of features; None where it was not asked for.
    """

    quality: float
    psnr_rgb_db: float
    gain_db: float
    grid_loss: float
    vgg: float | None

    def cells(self) -> tuple[str, ...]:
        """Of a table."""
        vgg = "" if self.vgg is None else f"{self.vgg:.4f}"
        figures = (f"{self.psnr_rgb_db:.3f}", f"{self.gain_db:+.3f}", f"{self.grid_loss:.2e}", vgg)
        return f"{self.quality:g}", *figures


def load_network(file: Path, codec: str, device: torch.device) -> Network:
    """The network of a weight file, which tells by its metadata what it is of.

    Args:
        file: of weights.
        codec: whose latents there are.
        device: where it runs.

    Raises:
        TrainingError: no such file, or of no 4x network for this codec.
    """
    hint = "name an upscaler.safetensors, an enlarger.safetensors, or another --codec"
    stored = read_metadata(file, hint=hint)
    if NETWORK_KEY in stored:
        enlarger = load_trainable(stored[NETWORK_KEY], file).to(device).eval()
        return Network(lambda x, _: enlarger(x), reads_latent=False)
    if stored.get(CODEC_KEY, codec) != codec or BLOCKS_KEY not in stored:
        raise TrainingError(f"{file}: not weights of a 4x network for {codec}. hint: {hint}")
    upscaler = new_upscaler(codec, int(stored[BLOCKS_KEY]))
    load_upscaler(upscaler, file)
    upscaler.to(device).eval()
    return Network(lambda y_hat, level: upscaler(y_hat, level), reads_latent=True)


@torch.inference_mode()
def measure(
    network: Network,
    crops: Sequence[NDArray[np.uint8]],
    codec: FrozenCodec,
    *,
    quality: float,
    features: VggFeatures | None,
    device: torch.device,
) -> Means:
    """The means over the crops, uint8 (4P, 4P, 3) with P divisible by 16."""
    level = torch.tensor([quality - 1], device=device)
    rows = []
    for crop in crops:
        small = downscale(crop, UPSCALE)
        given = as_tensor(np.stack([small]), device)
        if quality:
            y_hat = codec.code(given, level)
            small = as_pixels(codec.synthesise(y_hat, level))[0]
            given = y_hat if network.reads_latent else as_tensor(np.stack([small]), device)
        x_sr, x_hr = network.enlarge(given, level), as_tensor(np.stack([crop]), device)
        psnr_db = psnr_rgb_db(crop, as_pixels(x_sr)[0])
        bicubic_db = psnr_rgb_db(crop, interpolate(small, UPSCALE, "bicubic"))
        vgg = float("nan") if features is None else float(features.distance(x_sr, x_hr))
        rows.append((psnr_db, psnr_db - bicubic_db, float(grid_loss(x_sr - x_hr)), vgg))
    psnr_db, gain_db, grid, vgg = np.mean(rows, axis=0).tolist()
    return Means(quality, psnr_db, gain_db, grid, None if features is None else vgg)


def compare(args: argparse.Namespace) -> Iterator[tuple[str, ...]]:
    """A row for each file and quality, of the arguments of `main`.

    Raises:
        TrainingError: a file cannot be read, or no network that compares features is there.
        ModelError: the codec has no such quality.
        FileAccessError, InputImageError, LimitError: as of training.patches.ImageFolder.
    """
    device = resolve_device("auto")
    codec = load_frozen(args.codec, device)
    require_qualities(codec.name, args.qualities)
    features = load_vgg().to(device) if args.vgg else None
    networks = [load_network(file, codec.name, device) for file in args.files]
    crops = middles(ImageFolder(args.photos, min_side_px=CROP_PX), args.count, CROP_PX)
    for file, network in zip(args.files, networks, strict=True):
        is_coded = network.reads_latent or args.coded
        for quality in args.qualities if is_coded else (0.0,):
            means = measure(
                network, crops, codec, quality=quality, features=features, device=device
            )
            yield str(file), *means.cells()


def main(argv: Sequence[str] | None = None) -> int:
    """Compare the files of the arguments; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m cdsrcodec.evaluation.upscaler_weights",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("photos", type=Path, help="folder of training pictures")
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE")
    parser.add_argument("--codec", type=Path, default=WEIGHTS_FOLDER / CDSR1, help="weights of it")
    parser.add_argument("--qualities", type=float, nargs="+", default=QUALITIES)
    parser.add_argument("--count", type=int, default=24, help="of crops [24]")
    parser.add_argument("--coded", action="store_true", help="networks of pixels get coded ones")
    parser.add_argument("--vgg", action="store_true", help="compare features of VGG-16, too")
    args = parser.parse_args(argv)
    return exit_code(lambda: print_table(("file", *Means._fields), compare(args)))


if __name__ == "__main__":
    sys.exit(main())
