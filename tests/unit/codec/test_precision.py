"""bf16 in the 4x networks costs next to nothing, and touches nothing else."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from cdsrcodec.codec import decode_pixels, enlarge_pixels, enlarging
from cdsrcodec.imageio.fidelity import psnr_db
from cdsrcodec.imageio.resampling import downscale
from cdsrcodec.sr.edsr import Edsr

CPU = torch.device("cpu")
Crop = Callable[..., NDArray[np.uint8]]


def test_the_large_picture_loses_less_than_002_db_in_bf16(
    crop: Crop, encode: Callable[..., bytes]
) -> None:
    x_hr = crop(128, 96)
    data = encode(downscale(x_hr, 4), 8.0)
    psnrs_db = {}
    for precision in ("fp32", "bf16"):
        x_sr = decode_pixels(data, sr=4, upscaler="latent", device=CPU, precision=precision)
        psnrs_db[precision] = psnr_db(np.subtract(x_hr, x_sr, dtype=np.int32))
    assert psnrs_db["fp32"] > 20
    assert 0 < abs(psnrs_db["fp32"] - psnrs_db["bf16"]) < 0.02


def test_the_native_picture_knows_no_precision(crop: Crop, encode: Callable[..., bytes]) -> None:
    data = encode(crop(32, 16))
    pictures = [
        decode_pixels(data, sr=1, upscaler="latent", device=CPU, precision=precision)
        for precision in ("fp32", "bf16")
    ]
    np.testing.assert_array_equal(pictures[0], pictures[1])


def test_an_unknown_precision_is_an_error(crop: Crop, encode: Callable[..., bytes]) -> None:
    data = encode(crop(16, 16))
    for sr in (1, 4):
        with pytest.raises(ValueError, match="one of auto, fp32, bf16, not 'fp16'"):
            decode_pixels(data, sr=sr, upscaler="latent", device=CPU, precision="fp16")


def test_networks_of_pixels_keep_the_base_in_full_precision(
    crop: Crop, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = Edsr(8, 1).eval().requires_grad_(False)  # adds nothing
    monkeypatch.setattr(enlarging, "pixel_enlarger", lambda entry, weights, device: network)
    pictures = [
        enlarge_pixels(crop(20, 12), upscaler="edsr", weights=None, device=CPU, precision=precision)
        for precision in ("fp32", "bf16")
    ]
    np.testing.assert_array_equal(pictures[0], pictures[1])
