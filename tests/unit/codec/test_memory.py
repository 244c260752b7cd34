"""Tiles that fit into a limit of memory, tiles that turn out too large, and copies of pictures."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from cdsrcodec.codec import decode_pixels, decoding, encode_pixels, enlarge_pixels
from cdsrcodec.codec.painting import paint
from cdsrcodec.codec.tiles import LEAST_CORE, NEEDS, PROGRAM_BYTES, Tiling, check_memory
from cdsrcodec.container import Limits
from cdsrcodec.errors import LimitError

CPU = torch.device("cpu")
ROOT = Path(__file__).resolve().parents[3]
Crop = Callable[..., NDArray[np.uint8]]
TILING = Tiling(core=50, halo=4, bytes_per_position=1000)
LARGE = (500, 500)


def test_without_a_limit_tiles_are_as_large_as_usual() -> None:
    assert TILING.within(None, 10**12, LARGE) is TILING


@pytest.mark.parametrize("core", [LEAST_CORE, 20, 50])
def test_tiles_are_as_large_as_the_limit_allows(core: int) -> None:
    tile_bytes = 1000 * (core + 8) ** 2
    limit = PROGRAM_BYTES + 12_345 + tile_bytes
    fitted = TILING.within(limit, 12_345, LARGE)
    assert fitted == Tiling(core, 4, 1000)
    if core > LEAST_CORE:
        assert TILING.within(limit - 1, 12_345, LARGE).core == core - 1


def test_tiles_are_never_larger_than_without_a_limit() -> None:
    assert TILING.within(10**12, 0, LARGE) == TILING


def test_a_limit_below_the_least_tile_is_refused_with_the_one_that_does() -> None:
    least = PROGRAM_BYTES + 5_000_000 + 1000 * (LEAST_CORE + 8) ** 2
    with pytest.raises(LimitError, match=r"few for this picture. hint: --max-memory 886MB is"):
        TILING.within(least - 1, 5_000_000, LARGE)
    assert TILING.within(886_000_000, 5_000_000, LARGE).core >= LEAST_CORE


@pytest.mark.parametrize(
    ("limit_bytes", "in_words"),
    [
        (1, "1 bytes"),
        (1000, "1000 bytes"),
        (900 * 2**20, "943.7184 MB"),
        (879_900_000, "879.9 MB"),
        (2 * 10**8, "200 MB"),
    ],
)
def test_a_limit_that_is_too_low_is_told_as_it_is(limit_bytes: int, in_words: str) -> None:
    with pytest.raises(LimitError, match=rf"^{in_words} of memory are too few for this picture\."):
        check_memory(limit_bytes, 10**9)


def test_a_small_picture_needs_no_whole_tile() -> None:
    assert TILING.within(PROGRAM_BYTES + 1000 * 3 * 5, 0, (3, 5)).core == LEAST_CORE
    check_memory(PROGRAM_BYTES + 7, 7)
    with pytest.raises(LimitError):
        check_memory(PROGRAM_BYTES + 7, 8)


def test_decoding_and_encoding_within_a_limit_give_the_same(
    monkeypatch: pytest.MonkeyPatch, crop: Crop, encode: Callable[..., bytes]
) -> None:
    cores: list[int] = []

    def painting(*args: object, tiling: Tiling, **settings: object) -> NDArray[np.uint8]:
        cores.append(tiling.core)
        return paint(*args, tiling=tiling, **settings)  # type: ignore[arg-type]

    monkeypatch.setattr(decoding, "paint", painting)
    x = crop(330, 20)
    data = encode(x)
    limit = PROGRAM_BYTES + 38_000 * (LEAST_CORE + 24) ** 2 + 200_000
    assert encode_pixels(x, quality=4.0, codec="cdsr1", device=CPU, max_memory_bytes=limit) == data
    whole = decode_pixels(data, sr=1, upscaler="latent", device=CPU)
    tiled = decode_pixels(data, sr=1, upscaler="latent", device=CPU, max_memory_bytes=limit)
    assert np.abs(tiled.astype(int) - whole).max() <= 1
    assert cores[0] > 50
    assert cores[1] < 20


@pytest.mark.parametrize("upscaler", ["latent", "lanczos"])
def test_what_cannot_fit_is_refused_before_the_work(
    crop: Crop, encode: Callable[..., bytes], upscaler: str
) -> None:
    x = crop(64, 48)
    with pytest.raises(LimitError, match="hint: --max-memory 8"):
        encode_pixels(x, quality=4.0, codec="cdsr1", device=CPU, max_memory_bytes=10**6)
    data = encode(x)
    with pytest.raises(LimitError, match="hint: --max-memory 8"):
        decode_pixels(data, sr=4, upscaler=upscaler, device=CPU, max_memory_bytes=10**6)
    with pytest.raises(LimitError, match="hint: --max-memory 8"):
        enlarge_pixels(x, upscaler="lanczos", weights=None, device=CPU, max_memory_bytes=10**6)


class Fragile:
    """Enlarges by repetition; runs out of memory on tiles wider than 30 px."""

    def __init__(self, error: Exception, width: int = 30) -> None:
        self.error, self.width = error, width
        self.refused = 0

    def __call__(self, tile: Tensor) -> Tensor:
        if tile.shape[-1] > self.width:
            self.refused += 1
            raise self.error
        return F.interpolate(tile, scale_factor=4)


OUT_OF_MEMORY = [
    MemoryError(),
    torch.OutOfMemoryError("CUDA out of memory"),
    RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."),
    RuntimeError("could not create a primitive"),  # oneDNN
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported"),
    RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"),
]


@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=repr)
def test_tiles_are_halved_where_memory_runs_out(error: Exception) -> None:
    network = Fragile(error)
    x = torch.rand(1, 3, 3, 90)
    steps: list[tuple[int, int]] = []
    pixels = paint(
        network,
        x,
        (12, 360),
        scale=4,
        tiling=Tiling(core=100, halo=2, bytes_per_position=1),
        on_step=lambda done, total: steps.append((done, total)),
    )
    assert network.refused == 2
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]
    expected = F.interpolate(x, scale_factor=4)[0].permute(1, 2, 0) * 255
    np.testing.assert_allclose(pixels, expected, atol=0.51)


def test_where_the_smallest_tiles_are_too_large_memory_is_out() -> None:
    network = Fragile(OUT_OF_MEMORY[2], width=5)
    with pytest.raises(MemoryError, match="can't allocate"):
        paint(network, torch.rand(1, 3, 3, 90), (12, 360), scale=4, tiling=TILING)


def test_other_errors_of_a_network_are_not_taken_for_a_lack_of_memory() -> None:
    network = Fragile(RuntimeError("shapes do not fit"))
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        paint(network, torch.rand(1, 3, 3, 90), (12, 360), scale=4, tiling=TILING)
    assert network.refused == 1


# Enlarges 1250x1000 pixels in tiles and writes the 5000x4000 as a PNG: prints by how many
# bytes the peak of the process rose above what a small picture takes.
LARGE_PICTURE = """
import resource, sys
from pathlib import Path
import torch
from torch.nn import functional as F
from cdsrcodec.codec.painting import paint
from cdsrcodec.codec.tiles import Tiling
from cdsrcodec.imageio.assembly import assemble
from cdsrcodec.imageio.metadata import Metadata
from cdsrcodec.imageio.writer import write_image

def peak_bytes():
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

def enlarge(width, height):
    x = torch.zeros(1, 3, height, width, dtype=torch.uint8)
    network = lambda tile: F.interpolate(tile.float(), scale_factor=4)
    tiling = Tiling(core=64, halo=8, bytes_per_position=1)
    pixels = paint(network, x, (4 * height, 4 * width), scale=4, tiling=tiling)
    size_px = (4 * width, 4 * height)
    image = assemble(pixels, None, Metadata(), is_grey=False, scale=4, size_px=size_px)
    del pixels
    write_image(image, Path(sys.argv[1]))

torch.set_num_threads(1)
enlarge(100, 100)
before_bytes = peak_bytes()
enlarge(1250, 1000)
print(peak_bytes() - before_bytes)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other units of peaks")
def test_a_large_picture_is_in_memory_once_as_pixels_and_once_as_an_image(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LARGE_PICTURE, str(tmp_path / "x.png")],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    pixel_count = 5000 * 4000
    pixels_bytes, image_bytes = 3 * pixel_count, 4 * pixel_count
    # Another copy of either would be at least 60 MB more.
    assert int(done.stdout) < pixels_bytes + image_bytes + 40e6


# Walks through latents of 32x32 and 32x128 positions in tiles of 32: prints by how many bytes
# the peak of the second is above that of the first.
LARGE_WALK = """
import resource
import torch
from cdsrcodec.codec.loading import entropy_model
from cdsrcodec.models.integer_prior import LatentWalk
from cdsrcodec.models.registry import codec_named

def peak_bytes():
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

def walk(height, width):
    z_symbols = torch.zeros(1, 128, height // 4, width // 4, dtype=torch.int32)
    walk = LatentWalk(prior, z_symbols, height, width, core=32)
    for step in range(prior.steps):
        prediction = walk.predict(step)
        walk.fill(step, prediction, torch.zeros(len(prediction.means), dtype=torch.int32))
    walk.y_hat_gained()

torch.set_num_threads(1)
prior = entropy_model(codec_named("cdsr1")).prior
with torch.inference_mode():
    walk(32, 32)
    before_bytes = peak_bytes()
    walk(32, 128)
print(peak_bytes() - before_bytes)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other units of peaks")
def test_a_walk_keeps_little_of_a_large_latent() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LARGE_WALK], cwd=ROOT, capture_output=True, text=True, check=True
    )
    # Of this kind of tiles a position takes 15 kB, which would be 47 MB more.
    assert int(done.stdout) < NEEDS["cdsr1"].walk_bytes * 96 * 32


def test_a_file_of_the_largest_picture_cannot_ask_for_all_memory() -> None:
    latent = Limits().max_pixels // 256
    size = (256, latent // 256)
    assert NEEDS["cdsr1"].walking_bytes(size) < 5e9
    assert NEEDS["bmshj2018-hyperprior"].walking_bytes(size) < 13e9
    # In one piece it was 23.5 kB a position, which small pictures take still.
    assert NEEDS["cdsr1"].walking_bytes((48, 32)) == pytest.approx(23_500 * 48 * 32, rel=0.1)
