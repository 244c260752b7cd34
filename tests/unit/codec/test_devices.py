from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from cdsrcodec.codec import decode_pixels, decode_symbols, encode_pixels

pytestmark = pytest.mark.gpu
Crop = Callable[..., NDArray[np.uint8]]


def test_a_stream_of_a_gpu_decodes_to_the_same_symbols_on_the_cpu(crop: Crop) -> None:
    # decode_symbols is on the CPU always, and compares with the checksum of the encoder's symbols.
    data = encode_pixels(crop(96, 80), quality=5.0, codec="cdsr1", device=torch.device("cuda"))
    assert len(decode_symbols(data).runs) == 5


@pytest.mark.parametrize("sr", [1, 4])
def test_pixels_of_gpu_and_cpu_differ_by_a_grey_level_at_most(stream: bytes, sr: int) -> None:
    on_cpu, on_gpu = (
        decode_pixels(stream, sr=sr, upscaler="latent", device=torch.device(name)).astype(int)
        for name in ("cpu", "cuda")
    )
    assert np.abs(on_cpu - on_gpu).max() <= 1
    assert np.abs(on_cpu - on_gpu).mean() < 0.05
