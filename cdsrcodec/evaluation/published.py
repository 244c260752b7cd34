"""Published curves to compare with, from a JSON file."""

from __future__ import annotations

import json
from pathlib import Path

from cdsrcodec.evaluation.bd_rate import Curve, make_curve


def load_anchors(path: Path) -> dict[str, Curve]:
    """`load_published` with names that tell them from what is measured: "jpeg (published)"."""
    return {f"{name} (published)": curve for name, curve in load_published(path).items()}


def load_published(path: Path) -> dict[str, Curve]:
    """Published mean curves by name.

    Args:
        path: JSON of the form {"codecs": {name: {"bpp": [...], "psnr_rgb": [...]}}};
            other keys are ignored.

    Raises:
        ValueError: the file is no such JSON, or a curve in it is none.
        OSError: it cannot be read.
    """
    try:
        codecs = json.loads(path.read_text(encoding="utf-8"))["codecs"]
        return {name: make_curve(c["bpp"], c["psnr_rgb"]) for name, c in codecs.items()}
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"{path}: not a file of published curves ({error})") from error
