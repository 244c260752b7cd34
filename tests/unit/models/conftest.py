"""The shipped entropy networks, as integers and as floats, and pictures that they coded."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from cdsrcodec.codec import decode_symbols, encode_pixels
from cdsrcodec.codec.analysis import analyse
from cdsrcodec.codec.loading import EntropyModel, entropy_model
from cdsrcodec.models.float_twin import FloatTwin, float_twin
from cdsrcodec.models.registry import codec_named

SAMPLES = Path(__file__).resolve().parents[3] / "sample_images"
ENTRY = codec_named("cdsr1")
CPU = torch.device("cpu")


class CodedPicture(NamedTuple):
    """A picture's gained latent, and the symbols that were coded for it."""

    y_gained: Tensor  # (1, 224, h, w)
    runs: list[NDArray[np.int32]]


@pytest.fixture(scope="session")
def model() -> EntropyModel:
    return entropy_model(ENTRY)


@pytest.fixture(scope="session")
def float_networks() -> FloatTwin:
    return float_twin(load_file(ENTRY.entropy_file), CPU)


@cache
def _code(name: str, quality: float) -> CodedPicture:
    pixels = np.asarray(Image.open(SAMPLES / name).convert("RGB"))[60:220, 100:292]
    data = encode_pixels(pixels, quality=quality, codec=ENTRY.name, device=CPU)
    y_gained, _ = analyse(ENTRY, pixels, quality - 1, CPU)
    return CodedPicture(y_gained, decode_symbols(data).runs)


@pytest.fixture(scope="session")
def coded() -> Callable[[str, float], CodedPicture]:
    """Codes a 192x160 crop of a sample image, named by its file, at a quality."""
    return _code
