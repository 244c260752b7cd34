"""Whether more quality always takes more bytes and keeps more, for every picture of a folder.

    python -m cdsrcodec.evaluation.monotone IMAGES_DIR -o OUT.tsv

Qualities 1 to 8 in steps of a quarter, whole files, PSNR of the decoded 8-bit pictures. Each step
that does not rise is told with its sizes; the exit code is then 1.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cdsrcodec.codec import resolve_device
from cdsrcodec.codec.analysis import TileFeatures
from cdsrcodec.codec.encoding import PictureEncoder
from cdsrcodec.container import Limits
from cdsrcodec.evaluation.pictures import find_images
from cdsrcodec.evaluation.scripts import exit_code
from cdsrcodec.imageio.reader import read_rgb
from cdsrcodec.imageio.writer import write_bytes
from cdsrcodec.models.registry import codec_named

CODEC = "cdsr1"
QUALITIES = tuple(1 + step / 4 for step in range(29))


class Point(NamedTuple):
    """A picture at one quality."""

    quality: float
    stream_bytes: int
    psnr_rgb_db: float


class Fall(NamedTuple):
    """Two neighbouring qualities of a picture whose size or PSNR does not rise."""

    measure: str  # field of Point
    low: Point
    high: Point

    def __str__(self) -> str:
        """What falls, where, from what to what."""
        values = [getattr(point, self.measure) for point in (self.low, self.high)]
        digits = "d" if self.measure == "stream_bytes" else ".4f"
        return (
            f"{self.measure} does not rise from quality {self.low.quality:g} to "
            f"{self.high.quality:g}: {values[0]:{digits}} to {values[1]:{digits}}"
        )


def measure(x: NDArray[np.uint8], qualities: Sequence[float]) -> list[Point]:
    """The points of x (H, W, 3), each of a stream that was decoded again.

    Raises:
        LimitError: x is beyond the format's limits.
    """
    device = resolve_device("auto")
    # The part of g_a before the quality enters runs once.
    encoder = PictureEncoder(partial(codec_named, CODEC), x, device, 0, (), None)
    encoder.features = TileFeatures()
    streams = {quality: encoder.encode(quality) for quality in qualities}
    return [Point(q, len(data), encoder.psnr_rgb_db(data)) for q, data in streams.items()]


def find_falls(points: Sequence[Point]) -> Iterator[Fall]:
    """The steps between neighbours of rising quality where size or PSNR does not rise."""
    for low, high in pairwise(points):
        if high.stream_bytes <= low.stream_bytes:
            yield Fall("stream_bytes", low, high)
        if high.psnr_rgb_db <= low.psnr_rgb_db:
            yield Fall("psnr_rgb_db", low, high)


def to_tsv(curves: dict[str, list[Point]]) -> str:
    """The points as a table with a header line."""
    lines = ["\t".join(("image", *Point._fields))]
    lines += [
        f"{name}\t{point.quality:g}\t{point.stream_bytes}\t{point.psnr_rgb_db:.4f}"
        for name, points in curves.items()
        for point in points
    ]
    return "\n".join(lines) + "\n"


def check_folder(folder: Path, output: Path | None) -> int:
    """Check every picture, tell of each, and write the table; returns 1 if something falls.

    Raises:
        InputImageError: there is none, or one that cannot be read.
        FileAccessError: the table cannot be written.
    """
    curves: dict[str, list[Point]] = {}
    counts = {"stream_bytes": 0, "psnr_rgb_db": 0}
    for path in find_images(folder):
        points = measure(read_rgb(path, max_pixels=Limits().max_pixels), QUALITIES)
        curves[path.name] = points
        falls = list(find_falls(points))
        for fall in falls:
            counts[fall.measure] += 1
            sys.stdout.write(f"{path.name}: {fall}\n")
        sys.stderr.write(f"{path.name}: {len(falls)} of {2 * (len(points) - 1)} do not rise\n")
        if output is not None:
            write_bytes(to_tsv(curves).encode(errors="surrogateescape"), output)
    steps = len(curves) * (len(QUALITIES) - 1)
    sys.stdout.write(
        f"{len(curves)} pictures, {steps} steps of quality: size does not rise in "
        f"{counts['stream_bytes']}, PSNR in {counts['psnr_rgb_db']}\n"
    )
    return int(any(counts.values()))


def main(argv: Sequence[str] | None = None) -> int:
    """Check the folder of the arguments; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m cdsrcodec.evaluation.monotone", description=__doc__
    )
    parser.add_argument("images", type=Path, help="folder of pictures")
    parser.add_argument("-o", "--output", type=Path, help="TSV, a row a picture and quality")
    args = parser.parse_args(argv)
    return exit_code(lambda: check_folder(args.images, args.output))


if __name__ == "__main__":
    sys.exit(main())
