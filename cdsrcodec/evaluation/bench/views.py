"""Cut-outs of the pictures, for the report to show side by side."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cdsrcodec.evaluation.metrics import luma
from cdsrcodec.imageio.writer import write_bytes

VIEWS = "views"


def find_detail(x: NDArray[np.uint8], side_px: int) -> tuple[int, int]:
    """Top and left of the square of x with the strongest edges, on a grid of half its side."""
    y = luma(x)
    edges = np.abs(np.diff(y, axis=0))[:, :-1] + np.abs(np.diff(y, axis=1))[:-1]
    height_px, width_px = x.shape[:2]
    step_px = max(side_px // 2, 1)
    corners = [
        (top, left)
        for top in range(0, max(height_px - side_px, 0) + 1, step_px)
        for left in range(0, max(width_px - side_px, 0) + 1, step_px)
    ]
    sums = [edges[top : top + side_px, left : left + side_px].sum() for top, left in corners]
    return corners[int(np.argmax(sums))]


def cut_out(pixels: NDArray[np.uint8], corner: tuple[int, int], side_px: int) -> NDArray[np.uint8]:
    """The square of a picture from this corner (top, left) on; at most side_px each way."""
    top, left = corner
    return pixels[top : top + side_px, left : left + side_px]


def view_bytes(pixels: NDArray[np.uint8]) -> bytes:
    """A lossless WebP of a cut-out, so that the report shows the very samples.

    Searched quickly: 8 % more bytes than by Pillow's default search, in a tenth of the time.
    """
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "WEBP", lossless=True, method=1, quality=20)
    return file.getvalue()


def write_view(pixels: NDArray[np.uint8], output: Path) -> str:
    """Keep a cut-out in the folder of views of the report's folder, by the name of its hash.

    Raises:
        FileAccessError: it cannot be written.
    """
    data = view_bytes(pixels)
    name = hashlib.sha256(data).hexdigest()
    write_bytes(data, view_path(output, name))
    return name


def view_path(output: Path, name: str) -> Path:
    """The file of a cut-out."""
    return output / VIEWS / f"{name}.webp"
