"""Pictures for the codec, and streams of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from cdsrcodec.codec import encode_pixels
from cdsrcodec.container import read_stream, write_stream

SAMPLES = Path(__file__).resolve().parents[3] / "sample_images"


@cache
def _photograph(name: str) -> NDArray[np.uint8]:
    with Image.open(SAMPLES / name) as image:
        return np.array(image.convert("RGB"))


def _crop(width_px: int, height_px: int, name: str = "cat.png") -> NDArray[np.uint8]:
    """The middle of a sample image, mirrored outwards where it is too small."""
    pixels = _photograph(name)
    for axis, side_px in enumerate((height_px, width_px)):
        missing = max(0, side_px - pixels.shape[axis])
        before = missing // 2
        pad = [(0, 0)] * 3
        pad[axis] = (before, missing - before)
        pixels = np.pad(pixels, pad, mode="reflect")
        start = (pixels.shape[axis] - side_px) // 2
        pixels = pixels.take(range(start, start + side_px), axis)
    return pixels


@pytest.fixture(scope="session")
def crop() -> Callable[..., NDArray[np.uint8]]:
    """Cuts uint8 (height_px, width_px, 3) from a sample image: of width_px, height_px, name."""
    return _crop


def _encode(pixels: NDArray[np.uint8], quality: float = 4.0) -> bytes:
    return encode_pixels(pixels, quality=quality, codec="cdsr1", device=torch.device("cpu"))


@pytest.fixture(scope="session")
def encode() -> Callable[..., bytes]:
    """Encodes pixels at a quality (4.0) on the CPU."""
    return _encode


@pytest.fixture(scope="session")
def stream() -> bytes:
    """A 96x80 photograph at quality 4."""
    return _encode(_crop(96, 80))


def _rewrite(data: bytes, *, payload: bytes | None = None, **fields: object) -> bytes:
    stream = read_stream(data)
    header = dataclasses.replace(stream.header, **fields)  # type: ignore[arg-type]
    if payload is None:
        payload = stream.payload
    return write_stream(dataclasses.replace(stream, header=header, payload=payload))


@pytest.fixture(scope="session")
def rewrite() -> Callable[..., bytes]:
    """Gives a stream other header fields or another payload, and a right byte CRC."""
    return _rewrite
