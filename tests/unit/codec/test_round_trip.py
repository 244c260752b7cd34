from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from cdsrcodec.codec import decode_pixels, decode_symbols
from cdsrcodec.codec.loading import entropy_model
from cdsrcodec.container import read_stream
from cdsrcodec.imageio.fidelity import psnr_db
from cdsrcodec.models.interface import hyper_size
from cdsrcodec.models.registry import codec_named

CPU = torch.device("cpu")
Crop = Callable[..., NDArray[np.uint8]]
Encode = Callable[..., bytes]


def decode(data: bytes, *, sr: int = 1) -> NDArray[np.uint8]:
    return decode_pixels(data, sr=sr, upscaler="latent", device=CPU)


def psnr_rgb_db(x: NDArray[np.uint8], x_hat: NDArray[np.uint8]) -> float:
    return psnr_db(np.subtract(x, x_hat, dtype=np.int32))


@pytest.mark.parametrize(
    "size_px", [(1, 1), (37, 1), (17, 33), (64, 48), (300, 7)], ids=lambda s: f"{s[0]}x{s[1]}"
)
def test_a_picture_of_any_size_comes_back(
    crop: Crop, encode: Encode, size_px: tuple[int, int]
) -> None:
    x = crop(*size_px)
    data = encode(x)
    header = read_stream(data).header
    assert (header.width_px, header.height_px) == size_px
    x_hat = decode(data)
    assert x_hat.dtype == np.uint8
    assert x_hat.shape == x.shape
    assert psnr_rgb_db(x, x_hat) > 26


def test_a_higher_quality_is_larger_and_better(crop: Crop, encode: Encode) -> None:
    x = crop(160, 128)
    streams = [encode(x, quality) for quality in (1.0, 4.0, 8.0)]
    sizes = [len(data) for data in streams]
    assert sizes == sorted(sizes)
    assert sizes[2] > 1.5 * sizes[1] > 2.25 * sizes[0]
    psnrs_db = [psnr_rgb_db(x, decode(data)) for data in streams]
    assert psnrs_db[0] > 22
    assert psnrs_db[1] > max(25, psnrs_db[0] + 2)
    assert psnrs_db[2] > max(33, psnrs_db[1] + 3)


def test_quality_is_real_and_kept_in_steps_of_a_32nd(crop: Crop, encode: Encode) -> None:
    x = crop(64, 48)
    streams = [encode(x, quality) for quality in (4.0, 4.01, 4.5, 5.0)]
    assert [read_stream(data).header.quality for data in streams] == [4, 4, 4.5, 5]
    assert streams[0] == streams[1]
    assert len(streams[0]) < len(streams[2]) < len(streams[3])


@pytest.mark.parametrize("quality", [1.0, 4.0, 8.0])
def test_a_file_is_hardly_larger_than_its_symbols_ideal_code(
    crop: Crop, encode: Encode, quality: float
) -> None:
    model = entropy_model(codec_named("cdsr1"))
    names = ["cat.png", "coffee.png", "rocket.png"]
    file_bytes = ideal_bytes = 0.0
    for name in names:
        data = encode(crop(256, 192, name), quality)
        z_symbols, *runs = decode_symbols(data).runs
        size = hyper_size(12, 16)
        bits = model.hyper.bits(z_symbols, model.hyper_indexes(*size)).sum()
        walk = model.prior.walk(torch.from_numpy(z_symbols.reshape(1, 128, *size)), 12, 16)
        for step, symbols in enumerate(runs):
            prediction = walk.predict(step)
            bits += model.latent.bits(symbols, prediction.indexes.numpy()).sum()
            walk.fill(step, prediction, torch.from_numpy(symbols))
        file_bytes += len(data)
        ideal_bytes += bits / 8
    assert file_bytes > ideal_bytes
    assert file_bytes < 1.01 * ideal_bytes + 24 * len(names)


def test_symbols_are_those_of_the_stream_every_time(stream: bytes) -> None:
    first, second = decode_symbols(stream), decode_symbols(stream)
    assert first.header == read_stream(stream).header
    # z covers the 6x5 latent with 2x2 positions; the four steps share out the latent itself.
    assert len(first.runs[0]) == 128 * 2 * 2
    assert sum(len(run) for run in first.runs[1:]) == 224 * 5 * 6
    for one, other in zip(first.runs, second.runs, strict=True):
        assert np.array_equal(one, other)
    assert torch.equal(first.y_hat_gained, second.y_hat_gained)
    assert first.y_hat_gained.shape == (1, 224, 5, 6)


@pytest.mark.parametrize("size_px", [(40, 24), (1, 1), (17, 5)], ids=lambda s: f"{s[0]}x{s[1]}")
def test_sr_4_gives_a_picture_four_times_as_large(
    crop: Crop, encode: Encode, size_px: tuple[int, int]
) -> None:
    data = encode(crop(*size_px), 6.0)
    x_sr = decode(data, sr=4)
    assert x_sr.dtype == np.uint8
    assert x_sr.shape == (4 * size_px[1], 4 * size_px[0], 3)
    # Reduced again it is about the native picture.
    blocks = x_sr.reshape(size_px[1], 4, size_px[0], 4, 3).mean((1, 3))
    assert np.abs(blocks - decode(data)).mean() < 5


def test_pixels_in_any_memory_order_give_the_same_stream(crop: Crop, encode: Encode) -> None:
    x = crop(48, 32)
    read_only = x.copy()
    read_only.flags.writeable = False
    mirrored = np.ascontiguousarray(x[:, ::-1, ::-1])[:, ::-1, ::-1]
    expected = encode(x)
    assert encode(read_only) == expected
    assert encode(np.asfortranarray(x)) == expected
    assert encode(mirrored) == expected
    assert not read_only.flags.writeable
