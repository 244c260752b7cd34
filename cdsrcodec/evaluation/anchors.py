"""What `cdsr1` is compared with: classical codecs through Pillow, and published curves."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cdsrcodec.evaluation.bd_rate import Curve, make_curve


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


def code_jpeg(x: NDArray[np.uint8], quality: float) -> Coded:
    """Baseline JPEG with optimised Huffman tables, 4:2:0 as is Pillow's default."""
    return _code_by_pillow(x, "JPEG", {"quality": round(quality), "optimize": True})


def code_webp(x: NDArray[np.uint8], quality: float) -> Coded:
    """Lossy WebP at the slowest and best search (method 6)."""
    return _code_by_pillow(x, "WEBP", {"quality": round(quality), "method": 6})


def code_avif(x: NDArray[np.uint8], quality: float) -> Coded:
    """AVIF with full chroma at speed 4 (0 slowest, 10 fastest)."""
    options = {"quality": round(quality), "subsampling": "4:4:4", "speed": 4}
    return _code_by_pillow(x, "AVIF", options)


def _code_by_pillow(x: NDArray[np.uint8], file_format: str, options: dict[str, Any]) -> Coded:
    file = io.BytesIO()
    Image.fromarray(x).save(file, file_format, **options)
    with Image.open(file) as image:
        return Coded(file.getvalue(), np.asarray(image.convert("RGB")))


# Mean rates on photographs of 768x512 go from about 0.13 to 2.5 bpp, those of JPEG, which
# has nothing below, from 0.15.
ANCHORS = {
    "jpeg": Ladder(code_jpeg, (4, 6, 10, 18, 30, 45, 60, 72, 80, 86, 89)),
    "webp": Ladder(code_webp, (0, 1, 5, 15, 30, 50, 65, 75, 82, 87, 91)),
    "avif": Ladder(code_avif, (10, 20, 30, 40, 50, 60, 70, 78, 85)),
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
