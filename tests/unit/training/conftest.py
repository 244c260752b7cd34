"""Pictures to train on, and runs of seconds that several tests look at."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from cdsrcodec.models.registry import codec_named
from cdsrcodec.training.codec_recipe import CodecRecipeConfig, TrainableCdsr1, load_network
from cdsrcodec.training.loop import LoopConfig
from cdsrcodec.training.runs import train_codec, train_upscaler
from cdsrcodec.training.upscaler_recipe import UpscalerRecipeConfig

CPU = torch.device("cpu")
SIZES_PX = ((130, 150), (150, 130), (140, 200))
SAMPLES = Path(__file__).resolve().parents[3] / "sample_images"


def make_pixels(height_px: int, width_px: int, seed: int) -> NDArray[np.uint8]:
    """Waves of all directions with an edge and some noise: smooth, but not empty."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:height_px, 0:width_px]
    x = np.full((height_px, width_px, 3), 120.0)
    for _ in range(6):
        angle, phase = rng.uniform(0, 2 * np.pi, 2)
        wave = np.sin(rng.uniform(0.05, 0.4) * (rows * np.cos(angle) + columns * np.sin(angle)))
        x += (wave + np.cos(phase))[..., None] * rng.uniform(2, 12, 3)
    x += 30.0 * (rows + columns > height_px)[..., None] + rng.normal(0, 2, x.shape)
    return np.asarray(x.clip(0, 255).round(), np.uint8)


@contextmanager
def one_thread() -> Iterator[None]:
    """Sums in one order, to be compared bit by bit; and two threads gain nothing on 64 px."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with one_thread():
        yield


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of three small pictures, one of them in a folder of its own."""
    folder = tmp_path_factory.mktemp("pictures")
    (folder / "more").mkdir()
    for seed, name in enumerate(["a.png", "b.png", "more/c.png"]):
        Image.fromarray(make_pixels(*SIZES_PX[seed], seed)).save(folder / name)
    (folder / "SOURCES.md").write_text("not a picture")
    return folder


@pytest.fixture(scope="session")
def photograph() -> NDArray[np.uint8]:
    """uint8 (192, 256, 3), sides divisible by 64, out of a sample image."""
    with Image.open(SAMPLES / "cat.png") as image:
        left, top = (image.width - 256) // 2, (image.height - 192) // 2
        return np.array(image.convert("RGB").crop((left, top, left + 256, top + 192)))


@pytest.fixture(scope="session")
def shipped() -> Path:
    """Folder of the shipped codec."""
    return codec_named("cdsr1").folder


@pytest.fixture(scope="session")
def shipped_network(shipped: Path) -> TrainableCdsr1:
    """The shipped codec in float, not to be changed."""
    network = TrainableCdsr1()
    load_network(network, shipped)
    return network.eval().requires_grad_(False)


@pytest.fixture
def run_folder(tmp_path: Path) -> Iterator[Path]:
    """Where a run goes; removed, because a checkpoint of a codec takes 180 MB."""
    folder = tmp_path / "run"
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def run_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Path]]:
    """Folders for runs of the whole session by name, removed at its end."""
    base = tmp_path_factory.mktemp("runs")
    yield lambda name: base / name
    shutil.rmtree(base)


@pytest.fixture(scope="session")
def codec_run(pictures: Path, shipped: Path, run_folders: Callable[[str], Path]) -> Path:
    """A finished run of two steps over the whole codec, from the shipped weights."""
    config = CodecRecipeConfig(pictures, patch_px=64, batch=2, factors=(1, 2), start=shipped)
    with one_thread():
        return train_codec(config, two_steps(run_folders("codec")), CPU).parent


@pytest.fixture(scope="session")
def decoder_run(pictures: Path, shipped: Path, run_folders: Callable[[str], Path]) -> Path:
    """The same for the decoder alone."""
    config = CodecRecipeConfig(pictures, patch_px=64, batch=2, part="decoder", start=shipped)
    with one_thread():
        return train_codec(config, two_steps(run_folders("decoder")), CPU).parent


@pytest.fixture(scope="session")
def upscaler_run(pictures: Path, shipped: Path, run_folders: Callable[[str], Path]) -> Path:
    """A finished run of two steps over an upscaler with a trunk of one block."""
    config = UpscalerRecipeConfig(pictures, shipped, patch_px=32, batch=1, blocks=1)
    with one_thread():
        return train_upscaler(config, two_steps(run_folders("upscaler")), CPU).parent


def two_steps(output: Path) -> LoopConfig:
    return LoopConfig(output, steps=2, warmup_steps=0, learning_rate=1e-4, precision="fp32")
