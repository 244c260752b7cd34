"""Training `latent-perceptual`: from the upscaler's recipe to the file that decodes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from cdsrcodec.codec.loading import latent_upscaler
from cdsrcodec.errors import TrainingError
from cdsrcodec.sr.registry import UpscalerEntry
from cdsrcodec.training import upscaler_recipe
from cdsrcodec.training.adversarial import AdversarialObjective, LossWeights, grid_loss
from cdsrcodec.training.loop import LoopConfig
from cdsrcodec.training.runs import average_runs, export_run, train_upscaler
from cdsrcodec.training.storage import read_checkpoint
from cdsrcodec.training.upscaler_recipe import UpscalerRecipe, UpscalerRecipeConfig
from cdsrcodec.training.vgg import VggFeatures

CPU = torch.device("cpu")
NO_FEATURES = LossWeights(features=0.0)


def config(pictures: Path, codec: Path, perceptual: LossWeights) -> UpscalerRecipeConfig:
    return UpscalerRecipeConfig(
        pictures, codec, patch_px=32, batch=1, blocks=1, perceptual=perceptual
    )


def small_vgg() -> VggFeatures:
    return VggFeatures([nn.Conv2d(3, 4, 3)]).requires_grad_(False)


def test_the_recipe_judges_by_the_relativistic_average(
    pictures: Path, shipped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upscaler_recipe, "load_vgg", small_vgg)
    weights = LossWeights(0.5, 2.0, 0.25)
    objective = UpscalerRecipe(config(pictures, shipped, weights), CPU).module
    assert isinstance(objective, AdversarialObjective)
    assert objective.relativistic
    assert objective.weights == weights
    assert isinstance(objective.features, VggFeatures)
    without = UpscalerRecipe(config(pictures, shipped, NO_FEATURES), CPU).module
    assert without.get_parameter("upscaler.tail.weight").requires_grad
    assert isinstance(without, AdversarialObjective)
    assert without.features is None


def a_grid(rows: int = 64, columns: int = 40) -> Tensor:
    """Two pixels of every 4x4, +1 and -1."""
    grid = torch.zeros(1, 1, 4, 4)
    grid[..., 0, 0], grid[..., 2, 3] = 1, -1
    return grid.repeat(2, 3, rows, columns)


def test_a_grid_of_the_small_picture_s_pixels_is_found_and_noise_is_not() -> None:
    everywhere = a_grid()
    found = float(grid_loss(everywhere))
    assert found == pytest.approx(2 / 16)
    torch.manual_seed(0)
    noise = everywhere.flatten()[torch.randperm(everywhere.numel())].view_as(everywhere)
    assert float(grid_loss(noise)) < found / 2
    other_period = torch.zeros(1, 1, 5, 5)
    other_period[..., 0, 0] = 1.5
    assert float(grid_loss(other_period.repeat(2, 3, 32, 32))) < found / 2
    assert float(grid_loss(torch.full((1, 3, 96, 80), 0.5))) == pytest.approx(0, abs=1e-6)


def test_a_grid_that_turns_with_what_it_is_drawn_on_is_found() -> None:
    half = a_grid(32, 32)
    turning = torch.cat([half, -half], 3)
    assert float(grid_loss(turning)) == pytest.approx(2 / 16)
    patches = torch.cat([a_grid(64, 8), -a_grid(64, 8)] * 4, 3)
    assert float(grid_loss(patches)) == pytest.approx(2 / 3 * 2 / 16)


@pytest.mark.parametrize("part", LossWeights._fields)
def test_gradients_of_each_loss_reach_the_upscaler(
    pictures: Path, shipped: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    monkeypatch.setattr(upscaler_recipe, "load_vgg", small_vgg)
    weights = LossWeights(0.0, 0.0, 0.0)._replace(**{part: 1.0})
    recipe = UpscalerRecipe(config(pictures, shipped, weights), CPU)
    nn.init.normal_(recipe.module.get_parameter("upscaler.tail.weight"), std=0.01)
    loss, _ = recipe.module(recipe.batch(0, 0))
    loss.backward()
    trained = {name: p for name, p in recipe.module.named_parameters() if p.requires_grad}
    silent = [name for name, p in trained.items() if p.grad is None or not p.grad.any()]
    # Only differences of logits count, so the last bias has nothing to say.
    assert set(silent) <= {"discriminator.17.bias"}
    assert not any(name.startswith("features.") for name in trained)
    assert {name.split(".")[0] for name in trained} == {"upscaler", "discriminator"}


def test_the_discriminator_is_trained_by_adam_at_half_of_the_rate(
    pictures: Path, shipped: Path
) -> None:
    recipe = UpscalerRecipe(config(pictures, shipped, NO_FEATURES), CPU)
    names = [n for n, _ in recipe.module.named_parameters() if n.startswith("discriminator.")]
    assert len(names) == 18
    assert {(recipe.takes_muon(n), recipe.rate_factor(n)) for n in names} == {(False, 0.5)}


def run(pictures: Path, shipped: Path, output: Path, steps: int = 2) -> Path:
    loop = LoopConfig(output, steps=steps, warmup_steps=0, learning_rate=1e-4)
    return train_upscaler(config(pictures, shipped, NO_FEATURES), loop, CPU)


@pytest.fixture(scope="module")
def perceptual_run(pictures: Path, shipped: Path, run_folders: Callable[[str], Path]) -> Path:
    """A finished run of two steps."""
    return run(pictures, shipped, run_folders("perceptual")).parent


def test_a_run_goes_on_with_the_discriminator_that_it_had(
    pictures: Path, shipped: Path, perceptual_run: Path, run_folder: Path
) -> None:
    kept = read_checkpoint(perceptual_run / "checkpoint.pt", CPU)
    judges = [name for name in kept["module"] if name.startswith("discriminator.")]
    assert len(judges) == 18
    assert kept["step"] == 2
    run_folder.mkdir()
    (run_folder / "checkpoint.pt").write_bytes((perceptual_run / "checkpoint.pt").read_bytes())
    run(pictures, shipped, run_folder, steps=3)
    later = read_checkpoint(run_folder / "checkpoint.pt", CPU)
    assert later["step"] == 3
    moved = {n: (later["module"][n] - kept["module"][n]).abs().max() for n in judges}
    assert all(change > 0 for name, change in moved.items() if name.endswith("weight"))
    assert max(moved.values()) < 1e-3, "another start would be elsewhere altogether"
    assert (
        (perceptual_run / "log.csv")
        .read_text()
        .startswith("step,elapsed_s,learning_rate,loss,psnr_rgb_db,told_apart,skipped\n")
    )


def test_a_run_for_psnr_cannot_go_on_as_a_perceptual_one(
    pictures: Path, shipped: Path, upscaler_run: Path, run_folder: Path
) -> None:
    run_folder.mkdir()
    (run_folder / "checkpoint.pt").symlink_to(upscaler_run / "checkpoint.pt")
    with pytest.raises(TrainingError, match="of a run with a loss for PSNR, not with weights"):
        run(pictures, shipped, run_folder)


def test_a_perceptual_run_is_exported_beside_the_upscaler_for_psnr(
    perceptual_run: Path, upscaler_run: Path, tmp_path: Path
) -> None:
    assert sorted(file.name for file in perceptual_run.glob("*.safetensors")) == [
        "perceptual.safetensors"
    ]
    for finished in (perceptual_run, upscaler_run):
        assert export_run(finished, tmp_path) == {}
    names = sorted(file.stem for file in tmp_path.iterdir())
    assert names == ["latent", "latent-perceptual"]
    loaded = [
        latent_upscaler(UpscalerEntry(name, "cdsr1", tmp_path / f"{name}.safetensors"), CPU)
        for name in names
    ]
    y_hat, level = torch.ones(1, 224, 1, 1), torch.zeros(1)
    latent, perceptual = (network(y_hat, level) for network in loaded)
    assert not torch.equal(latent, perceptual)
    assert float((latent - perceptual).abs().max()) < 0.05


def test_runs_for_psnr_and_perception_have_a_perceptual_mean(
    perceptual_run: Path, upscaler_run: Path, tmp_path: Path
) -> None:
    runs = [upscaler_run, perceptual_run, perceptual_run]
    file = average_runs(runs, tmp_path)
    assert file == tmp_path / "perceptual.safetensors"
    one, two, mean = (
        load_file(path)["tail.weight"]
        for path in (
            *upscaler_run.glob("*.safetensors"),
            *perceptual_run.glob("*.safetensors"),
            file,
        )
    )
    torch.testing.assert_close(mean, (one + 2 * two) / 3)
