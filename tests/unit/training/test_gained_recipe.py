"""The recipe of bmshj2018-hyperprior-gain: start, loss, gradients, and the way to the codec."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file, save_file

from cdsrcodec.codec import decode_pixels, encode_pixels
from cdsrcodec.errors import TrainingError
from cdsrcodec.models import registry
from cdsrcodec.models.cdsr1 import LMBDAS
from cdsrcodec.models.gained_hyperprior import GAIN_LEVELS
from cdsrcodec.training.gained_recipe import (
    GainedRecipe,
    GainedRecipeConfig,
    TrainableGainedHyperprior,
    load_gained,
)
from cdsrcodec.training.loop import LoopConfig
from cdsrcodec.training.runs import export_run, train_codec

CPU = torch.device("cpu")
CODEC = "bmshj2018-hyperprior-gain"


def config(pictures: Path, **settings: object) -> GainedRecipeConfig:
    small = {"patch_px": 64, "batch": 2, "factors": (1,)} | settings
    return GainedRecipeConfig(pictures, **small)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def finished(pictures: Path, run_folders: Callable[[str], Path]) -> Path:
    """A run of two steps from the principal components."""
    loop = LoopConfig(
        run_folders("gained"), steps=2, warmup_steps=0, learning_rate=1e-4, precision="fp32"
    )
    return train_codec(config(pictures), loop, CPU).parent


@pytest.fixture
def exported(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder of that run's files, which are the codec's for the time of a test."""
    bounds = export_run(finished, tmp_path / "gain")
    assert list(bounds) == ["h_s.0", "h_s.2", "h_s.4"]
    assert 0 < max(bounds.values()) < 2**53
    codec = replace(registry.CODECS[CODEC], folder=tmp_path / "gain")
    monkeypatch.setitem(registry.CODECS, CODEC, codec)
    return tmp_path / "gain"


def test_at_its_start_it_is_a_fair_codec_already(pictures: Path) -> None:
    recipe = GainedRecipe(config(pictures, batch=6), CPU)
    loss, metrics = recipe.module(recipe.batch(0, 0))
    assert list(metrics) == ["bpp", "psnr_rgb_db"]
    assert metrics["psnr_rgb_db"] > 24
    assert metrics["bpp"] < 4
    random = TrainableGainedHyperprior()
    x, level = recipe.batch(0, 0)
    with torch.no_grad():
        mse = (random(x, level)[0] - x).square().mean()
    assert -10 * mse.log10() < 15
    assert loss < 10


def test_pictures_that_hold_just_a_small_patch_are_enough_to_start_from(
    tmp_path: Path, photograph: NDArray[np.uint8]
) -> None:
    Image.fromarray(photograph[:48, :50]).save(tmp_path / "small.png")
    recipe = GainedRecipe(config(tmp_path, patch_px=48, batch=1), CPU)
    assert recipe.batch(0, 0)[0].shape == (1, 3, 48, 48)
    assert all(parameter.isfinite().all() for parameter in recipe.module.parameters())


def test_all_rates_weigh_alike(pictures: Path) -> None:
    recipe = GainedRecipe(config(pictures, batch=1), CPU)
    x, _ = recipe.batch(0, 0)
    for quality in (1, 4, 6):
        torch.manual_seed(0)
        level = torch.tensor([quality - 1.0])
        loss, metrics = recipe.module((x, level))
        lmbda = LMBDAS[quality - 1]
        cost = lmbda * 255**2 * 10 ** (-metrics["psnr_rgb_db"] / 10) + metrics["bpp"]
        torch.testing.assert_close(loss.detach(), cost * (lmbda / 0.013) ** -0.5, rtol=1e-4, atol=0)


def test_every_trained_parameter_gets_a_gradient(pictures: Path) -> None:
    recipe = GainedRecipe(config(pictures, patch_px=80), CPU)
    recipe.module(recipe.batch(0, 0))[0].backward()
    trained = {n: p for n, p in recipe.module.named_parameters() if p.requires_grad}
    without = [n for n, p in trained.items() if p.grad is None or not p.grad.any()]
    assert without == []
    assert set(dict(recipe.module.named_parameters())) - set(trained) == {
        "network.entropy_bottleneck.quantiles"
    }


def test_a_batch_has_low_and_high_rates_and_is_always_the_same(pictures: Path) -> None:
    recipe = GainedRecipe(config(pictures, batch=4), CPU)
    x, level = recipe.batch(3, 0)
    assert x.shape == (4, 3, 64, 64)
    assert level.min() < (GAIN_LEVELS - 1) / 4
    assert (GAIN_LEVELS - 1) * 3 / 4 <= level.max() <= GAIN_LEVELS - 1
    again = recipe.batch(3, 0)
    assert (again[0] == x).all()
    assert (again[1] == level).all()
    assert (recipe.batch(3, 1)[0] != x).any()


def test_an_exported_run_codes_as_it_was_trained(
    finished: Path, exported: Path, photograph: NDArray[np.uint8]
) -> None:
    network = TrainableGainedHyperprior()
    load_gained(network, finished / "gained.safetensors")
    x = torch.from_numpy(photograph.copy()).permute(2, 0, 1)[None].float() / 255
    sizes = []
    for quality in (1.0, 3.5, 6.0):
        data = encode_pixels(photograph, quality=quality, codec=CODEC, device=CPU)
        back = decode_pixels(data, sr=1, upscaler="bicubic", device=CPU).astype(int)
        with torch.no_grad():
            x_hat, bits = network(x, torch.tensor([quality - 1]))
        expected = (x_hat[0].permute(1, 2, 0) * 255).round().clamp(0, 255).numpy()
        # fp16 transforms, and rounding that spares bits, do not give the very same picture.
        assert np.abs(back - expected).mean() < 2
        assert len(data) * 8 == pytest.approx(float(bits), rel=0.12)
        sizes.append(len(data))
    assert sizes == sorted(sizes)
    assert sorted(path.name for path in exported.iterdir()) == [
        "decoder.safetensors",
        "encoder.safetensors",
        "entropy.safetensors",
    ]


def test_a_run_is_a_start_for_another(finished: Path, pictures: Path) -> None:
    weights = finished / "gained.safetensors"
    recipe = GainedRecipe(config(pictures, start=weights), CPU)
    stored = load_file(weights)
    for name, parameter in recipe.module.network.named_parameters():
        assert (parameter == stored[name]).all()


@pytest.mark.parametrize("fault", ["missing", "not weights", "another network"])
def test_a_start_that_does_not_fit_is_an_error(
    finished: Path, pictures: Path, tmp_path: Path, fault: str
) -> None:
    start = tmp_path / "x.safetensors"
    if fault == "not weights":
        start.write_text("x")
    if fault == "another network":
        save_file({"g_a.0.weight": torch.zeros(2)}, start)
    with pytest.raises(TrainingError, match=r"x\.safetensors: no weights of this codec.*hint: "):
        GainedRecipe(config(pictures, start=start), CPU)


def test_a_run_that_diverged_is_not_exported(finished: Path, tmp_path: Path) -> None:
    state = load_file(finished / "gained.safetensors")
    state["g_a.0.weight"][0] = torch.nan
    (tmp_path / "run").mkdir()
    save_file(state, tmp_path / "run" / "gained.safetensors", {"levels": "6"})
    with pytest.raises(TrainingError, match=r"g_a\.0\.weight: not a number.*learning-rate"):
        export_run(tmp_path / "run", tmp_path / "out")
    assert not list((tmp_path / "out").glob("*"))
