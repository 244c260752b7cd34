"""Pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image


def make_picture(height_px: int, width_px: int, *, seed: int = 0) -> NDArray[np.uint8]:
    """A ramp with mild noise: what codecs find neither empty nor impossible."""
    rng = np.random.default_rng(seed)
    ramp = (
        np.linspace(40, 200, width_px)[None, :, None] + np.linspace(0, 40, height_px)[:, None, None]
    )
    noisy = ramp + rng.normal(0, 5, (height_px, width_px, 3))
    x: NDArray[np.uint8] = noisy.clip(0, 255).astype(np.uint8)
    return x


@pytest.fixture
def picture() -> Callable[..., NDArray[np.uint8]]:
    """Makes a picture of (height_px, width_px)."""
    return make_picture


@pytest.fixture
def picture_folder(tmp_path: Path) -> Path:
    """Two pictures and a file that is none."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for seed, name in enumerate(["a.png", "b.PNG"]):
        Image.fromarray(make_picture(20, 32, seed=seed)).save(folder / name)
    (folder / "SOURCES.tsv").write_text("not a picture")
    return folder
