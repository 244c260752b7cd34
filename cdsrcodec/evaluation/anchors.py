"""What `cdsr1` is compared with: classical codecs through Pillow, and published curves."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cdsrcodec.evaluation.bd_rate import Curve, make_curve
from cdsrcodec.evaluation.codecs import PILLOW_CODECS, PillowCodec


class Coded(NamedTuple):
    """One picture, coded and decoded."""

    stream: bytes  # the whole file, headers included
    x_hat: NDArray[np.uint8]  # (H, W, 3)


RoundTrip = Callable[[NDArray[np.uint8], float], Coded]
"""(x (H, W, 3) uint8, quality) -> what a codec makes of it."""


@dataclass(frozen=True)
class Ladder:
    """A codec and the qualities, on its own scale, at which it is measured."""

    code: RoundTrip
    qualities: tuple[float, ...]


def round_trip(codec: PillowCodec) -> RoundTrip:
    """Encoding and decoding by a classical codec."""

    def code(x: NDArray[np.uint8], quality: float) -> Coded:
        stream = codec.encode(x, quality)
        return Coded(stream, codec.decode(stream))

    return code


ANCHORS = {
    name: Ladder(round_trip(codec), codec.scale.ladder)
    for name, codec in (
        ("jpeg", PILLOW_CODECS["jpeg"]),
        ("webp", PILLOW_CODECS["webp"]),
        ("avif", PILLOW_CODECS["avif444"]),
    )
}


def load_published(path: Path) -> dict[str, Curve]:
    """Published mean curves by name.

    Args:
        path: JSON of the form {"codecs": {name: {"bpp": [...], "psnr_rgb": [...]}}};
            other keys are ignored.

    Raises:
        ValueError: the file is no such JSON, or a curve in it is none.
    """
    try:
        codecs = json.loads(path.read_text(encoding="utf-8"))["codecs"]
        return {name: make_curve(c["bpp"], c["psnr_rgb"]) for name, c in codecs.items()}
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"{path}: not a file of published curves ({error})") from error
