"""A small photograph, its stream, and both as files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import cdsrcodec

ROOT = Path(__file__).resolve().parents[3]
CAT = ROOT / "sample_images" / "cat.png"


@pytest.fixture(scope="module")
def image() -> Image.Image:
    """A 48x36 photograph, without the metadata of its file."""
    with Image.open(CAT) as cat:
        return Image.fromarray(np.asarray(cat.convert("RGB").crop((150, 80, 198, 116))))


@pytest.fixture(scope="module")
def pixels(image: Image.Image) -> NDArray[np.uint8]:
    return np.asarray(image)


@pytest.fixture(scope="module")
def data(image: Image.Image) -> bytes:
    """The photograph at quality 4.5."""
    return cdsrcodec.encode(image, quality=4.5, device="cpu")


@pytest.fixture
def picture(tmp_path: Path, image: Image.Image) -> Path:
    path = tmp_path / "in.png"
    image.save(path)
    return path


@pytest.fixture
def stream(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "in.cdsr"
    path.write_bytes(data)
    return path
