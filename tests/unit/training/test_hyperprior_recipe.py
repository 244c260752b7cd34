"""The recipe of bmshj2018-hyperprior: loss, gradients, starts, and the way to a model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from compressai.losses import RateDistortionLoss
from compressai.models import ScaleHyperprior
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor

from cdsrcodec.codec import decode_pixels, encode_pixels
from cdsrcodec.errors import FileAccessError, TrainingError
from cdsrcodec.training.distortion import LMBDAS
from cdsrcodec.training.hyperprior_recipe import (
    HyperpriorRecipe,
    HyperpriorRecipeConfig,
    load_hyperprior,
)
from cdsrcodec.training.loop import LoopConfig, StepReport
from cdsrcodec.training.runs import average_runs, export_run, train_codec
from cdsrcodec.zoo.importing import import_checkpoint

CPU = torch.device("cpu")
CODEC = "bmshj2018-hyperprior"
SAMPLES = Path(__file__).resolve().parents[3] / "sample_images"


class Interruption(Exception):
    """Stands for a kill, at which nothing more is saved."""


def config(pictures: Path, quality: int = 4, **settings: object) -> HyperpriorRecipeConfig:
    small = {"patch_px": 64, "batch": 1, "factors": (1,)} | settings
    return HyperpriorRecipeConfig(pictures, quality, **small)  # type: ignore[arg-type]


def loop(output: Path, steps: int = 2) -> LoopConfig:
    return LoopConfig(output, steps=steps, warmup_steps=0, learning_rate=1e-4, precision="fp32")


@pytest.fixture(scope="module")
def finished(pictures: Path, checkpoint: Path, run_folders: Callable[[str], Path]) -> Path:
    """A run of two steps from the random checkpoint."""
    settings = config(pictures, start=checkpoint)
    return train_codec(settings, loop(run_folders("hyperprior")), CPU).parent


def test_the_loss_is_that_of_compressai(pictures: Path, checkpoint: Path) -> None:
    recipe = HyperpriorRecipe(config(pictures, 2, start=checkpoint, batch=2), CPU)
    x = recipe.batch(0, 0)
    criterion = RateDistortionLoss(lmbda=LMBDAS["mse"][1])
    with torch.no_grad():
        torch.manual_seed(1)
        expected = criterion(recipe.module.network.train()(x), x)
        torch.manual_seed(1)
        loss, metrics = recipe.module(x)
    assert list(metrics) == ["bpp", "psnr_rgb_db"]
    torch.testing.assert_close(metrics["bpp"], expected["bpp_loss"], rtol=1e-5, atol=0)
    torch.testing.assert_close(loss, expected["loss"], rtol=1e-5, atol=0)


@pytest.mark.parametrize(
    ("quality", "metric", "patch_px", "channels"),
    [(5, "mse", 80, (128, 192)), (6, "mse", 96, (192, 320)), (1, "ms-ssim", 176, (128, 192))],
)
def test_every_trained_parameter_gets_a_gradient_from_patches_of_any_multiple_of_16(
    pictures: Path, quality: int, metric: str, patch_px: int, channels: tuple[int, int]
) -> None:
    folder = pictures if patch_px < 130 else SAMPLES
    recipe = HyperpriorRecipe(config(folder, quality, metric=metric, patch_px=patch_px), CPU)
    network = recipe.module.network
    assert channels == (network.N, network.M)
    assert recipe.module.lmbda == LMBDAS[metric][quality - 1]
    loss, metrics = recipe.module(recipe.batch(0, 0))
    loss.backward()
    assert ("ms_ssim" in metrics) is (metric == "ms-ssim")
    trained = {n: p.grad for n, p in recipe.module.named_parameters() if p.requires_grad}
    assert [n for n, g in trained.items() if g is None or not g.isfinite().all()] == []
    frozen = [n for n, p in recipe.module.named_parameters() if not p.requires_grad]
    assert frozen == ["network.entropy_bottleneck.quantiles"]


def test_gradients_point_downhill(pictures: Path) -> None:
    recipe = HyperpriorRecipe(config(pictures), CPU)
    x = recipe.batch(0, 0)
    parameters = [p for p in recipe.module.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(parameters, lr=1e-4)
    losses = []
    for _ in range(4):
        torch.manual_seed(0)
        optimizer.zero_grad()
        loss, _ = recipe.module(x)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 0.99 * losses[0]


def test_the_batch_of_a_step_and_rank_is_always_the_same(pictures: Path) -> None:
    recipe, again = (HyperpriorRecipe(config(pictures, batch=2), CPU) for _ in range(2))
    x = recipe.batch(3, 1)
    assert (x.shape, x.dtype) == ((2, 3, 64, 64), torch.float32)
    assert torch.equal(x, again.batch(3, 1))
    assert not torch.equal(x, again.batch(3, 0))
    other = HyperpriorRecipe(config(pictures, seed=1), CPU).module.network
    weights = [r.g_a[0].weight for r in (recipe.module.network, again.module.network, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert recipe.rate_factor("network.g_a.0.weight") == 1.0
    assert not recipe.takes_muon("network.g_a.0.weight")


def test_a_run_that_was_interrupted_ends_as_if_it_had_not_been(
    pictures: Path, checkpoint: Path, run_folder: Path
) -> None:
    def interrupt(report: StepReport) -> None:
        if report.step == 2:
            raise Interruption

    settings = config(pictures, start=checkpoint)
    parts = replace(loop(run_folder / "parts", steps=3), checkpoint_minutes=0)
    with pytest.raises(Interruption):
        train_codec(settings, parts, CPU, interrupt)
    steps: list[int] = []
    resumed = load_file(train_codec(settings, parts, CPU, lambda report: steps.append(report.step)))
    whole = load_file(train_codec(settings, loop(run_folder / "whole", steps=3), CPU))
    assert steps == [2, 3]
    assert whole.keys() == resumed.keys()
    assert [name for name in whole if not torch.equal(whole[name], resumed[name])] == []


@pytest.mark.parametrize("name", ["x.pth.tar", "new/x.safetensors"])
def test_an_export_is_imported_and_codes_as_compressai_does(
    finished: Path,
    tmp_path: Path,
    photograph: NDArray[np.uint8],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    monkeypatch.setenv("CDSRCODEC_HOME", str(tmp_path / "home"))
    assert export_run(finished, tmp_path / name) == {}
    import_checkpoint(tmp_path / name, CODEC, 4, "mse")
    data = encode_pixels(photograph, quality=4, codec=CODEC, device=CPU)
    picture = decode_pixels(data, sr=1, upscaler="", device=CPU).astype(float)

    network = ScaleHyperprior.from_state_dict(state_of(tmp_path / name)).eval()
    x = torch.from_numpy(photograph).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        x_hat = network(x)["x_hat"][0].permute(1, 2, 0).clamp(0, 1).numpy() * 255
        strings = network.compress(x)["strings"]
    assert len(data) == pytest.approx(sum(len(s) for (s,) in strings), rel=0.005)
    # A symbol at a half may be rounded either way, and shows in a few pixels.
    assert np.mean(np.abs(picture - x_hat) > 1) < 0.01


def state_of(file: Path) -> dict[str, Tensor]:
    """As CompressAI's users load it."""
    if file.suffix == ".safetensors":
        return load_file(file)
    state: dict[str, Tensor] = torch.load(file, weights_only=True)
    return state


def test_tables_of_an_export_cover_what_the_prior_expects(finished: Path, tmp_path: Path) -> None:
    export_run(finished, tmp_path / "x.safetensors")
    network = ScaleHyperprior.from_state_dict(load_file(tmp_path / "x.safetensors"))
    prior = network.entropy_bottleneck
    with torch.no_grad():
        logits = prior._logits_cumulative(prior.quantiles, stop_gradient=True)
        torch.testing.assert_close(logits, prior.target.expand_as(logits), atol=0.05, rtol=0)


def test_a_start_with_old_names_of_parameters_is_understood(
    checkpoint: Path, tmp_path: Path
) -> None:
    state = torch.load(checkpoint, weights_only=True)
    old = {}
    for name, tensor in state.items():
        for new, plural in (("matrices", "_matrices"), ("biases", "_biases")):
            name = name.replace(f"bottleneck.{new}.", f"bottleneck.{plural}.")
        old[f"module.{name}"] = tensor
    assert old.keys().isdisjoint(state)
    save_file(old, tmp_path / "old.safetensors")
    network = ScaleHyperprior(128, 192)
    load_hyperprior(network, tmp_path / "old.safetensors")
    different = [n for n, p in network.named_parameters() if not torch.equal(p, state[n])]
    assert different == []


def test_a_start_of_another_size_or_kind_is_an_error(
    checkpoint: Path, shipped: Path, tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match=r"has 128 and 192 channels, .* 192 and 320\. hint"):
        load_hyperprior(ScaleHyperprior(192, 320), checkpoint)
    (tmp_path / "text.pth").write_text("no weights")
    incomplete = load_file(shipped / "decoder.safetensors")
    save_file(incomplete, tmp_path / "other.safetensors")
    network = ScaleHyperprior(128, 192)
    before = network.g_a[0].weight.clone()
    for name in ("missing.pth", "text.pth", "other.safetensors"):
        with pytest.raises(TrainingError, match=f"^{tmp_path / name}: no weights of this codec"):
            load_hyperprior(network, tmp_path / name)
    assert torch.equal(network.g_a[0].weight, before)


def test_a_run_that_diverged_is_not_exported(finished: Path, tmp_path: Path) -> None:
    state = load_file(finished / "hyperprior.safetensors")
    state["h_s.2.bias"][3] = torch.nan
    save_file(state, tmp_path / "hyperprior.safetensors", {"quality": "4"})
    with pytest.raises(TrainingError, match=r"h_s\.2\.bias: not a number\. hint: the run diverged"):
        export_run(tmp_path, tmp_path / "x.pth")
    assert not (tmp_path / "x.pth").exists()


def test_an_export_into_a_folder_is_an_error(finished: Path, tmp_path: Path) -> None:
    with pytest.raises(FileAccessError, match=f"^{tmp_path}: cannot be written"):
        export_run(finished, tmp_path)


def test_the_mean_of_runs_is_a_finished_run(finished: Path, tmp_path: Path) -> None:
    target = average_runs([finished, finished], tmp_path / "mean")
    assert target.name == "hyperprior.safetensors"
    mean, one = load_file(target), load_file(finished / target.name)
    assert [name for name in one if not torch.equal(mean[name], one[name])] == []
    export_run(target.parent, tmp_path / "x.pth")
    assert (tmp_path / "x.pth").is_file()
