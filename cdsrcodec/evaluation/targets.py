"""Whether `--target-size` is met: random pictures of a folder, each with a random size.

    python -m cdsrcodec.evaluation.targets IMAGES_DIR --trials 20

No file may be over its target, and none more than 3 % under it unless quality 8 makes no larger
one. The exit code is 1 where that does not hold. The same seed gives the same trials.
"""

from __future__ import annotations

import argparse
import math
import random
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cdsrcodec import api
from cdsrcodec.container import Limits
from cdsrcodec.container.header import MAX_QUALITY
from cdsrcodec.errors import LimitError
from cdsrcodec.evaluation.pictures import find_images
from cdsrcodec.evaluation.scripts import exit_code
from cdsrcodec.imageio.reader import read_rgb

# From below the smallest file of most photographs to above the largest of many.
BPP_RANGE = (0.1, 2.0)
MAX_UNDER_PERCENT = 3.0
OVER, UNDER = "over the target", "too far under"


class Trial(NamedTuple):
    """One target and what became of it; no file where the smallest one is larger."""

    image: str
    target_bytes: int
    stream_bytes: int | None
    quality: float | None

    @property
    def under_percent(self) -> float | None:
        """How much of the target was left."""
        if self.stream_bytes is None:
            return None
        return 100 * (self.target_bytes - self.stream_bytes) / self.target_bytes

    @property
    def verdict(self) -> str:
        """`OVER` and `UNDER` are failures."""
        if self.under_percent is None:
            return "smaller than the smallest file"
        if self.under_percent < 0:
            return OVER
        if self.under_percent <= MAX_UNDER_PERCENT:
            return "met"
        return "larger than the largest file" if self.quality == MAX_QUALITY else UNDER


def draw_targets(paths: Sequence[Path], trials: int, seed: int) -> Iterator[tuple[Path, float]]:
    """Pictures, and rates in bits per pixel that are even over their logarithm."""
    draw = random.Random(seed)
    low, high = map(math.log, BPP_RANGE)
    for _ in range(trials):
        yield draw.choice(paths), math.exp(draw.uniform(low, high))


def try_target(image: str, x: NDArray[np.uint8], bpp: float) -> Trial:
    """Encode x (H, W, 3) to the size that this rate gives."""
    target_bytes = max(1, round(bpp * x.shape[0] * x.shape[1] / 8))
    try:
        stream = api.encode(x, target_size_bytes=target_bytes)
    except LimitError:
        return Trial(image, target_bytes, None, None)
    return Trial(image, target_bytes, len(stream), api.info(stream).quality)


def run_trials(folder: Path, trials: int, seed: int) -> int:
    """Run the trials, a line of each on stdout; returns 1 if one of them fails.

    Raises:
        InputImageError: the folder has no pictures, or one that cannot be read.
    """
    sys.stdout.write("image\ttarget_bytes\tstream_bytes\tquality\tunder_percent\tverdict\n")
    failed = 0
    for path, bpp in draw_targets(find_images(folder), trials, seed):
        trial = try_target(path.name, read_rgb(path, max_pixels=Limits().max_pixels), bpp)
        failed += trial.verdict in (OVER, UNDER)
        under = "" if trial.under_percent is None else f"{trial.under_percent:.2f}"
        cells = (*trial, under, trial.verdict)
        sys.stdout.write("\t".join("" if cell is None else str(cell) for cell in cells) + "\n")
        sys.stdout.flush()
    sys.stdout.write(f"{trials} trials with seed {seed}: {failed} failed\n")
    return int(failed > 0)


def main(argv: Sequence[str] | None = None) -> int:
    """Run what the arguments ask for; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m cdsrcodec.evaluation.targets", description=__doc__
    )
    parser.add_argument("images", type=Path, help="folder of pictures")
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    return exit_code(lambda: run_trials(args.images, args.trials, args.seed))


if __name__ == "__main__":
    sys.exit(main())
