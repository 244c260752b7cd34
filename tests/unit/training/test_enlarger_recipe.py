"""The recipe of the 4x networks of pixels: its pairs, its losses, and a run to its end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from cdsrcodec.errors import InputImageError, TrainingError
from cdsrcodec.imageio.resampling import downscale
from cdsrcodec.sr.enlargers import load_enlarger
from cdsrcodec.training.adversarial import AdversarialObjective
from cdsrcodec.training.codec_recipe import TrainableCdsr1
from cdsrcodec.training.enlarger_recipe import EnlargerRecipe, EnlargerRecipeConfig
from cdsrcodec.training.folding import folded, trainable
from cdsrcodec.training.loop import LoopConfig
from cdsrcodec.training.runs import average_runs, export_run, train_enlarger
from cdsrcodec.training.upscaler_recipe import EnlargementObjective
from cdsrcodec.training.vgg import VggFeatures

CPU = torch.device("cpu")


def recipe(pictures: Path, **settings: object) -> EnlargerRecipe:
    config = {"patch_px": 16, "batch": 2} | settings
    return EnlargerRecipe(EnlargerRecipeConfig(pictures, **config), CPU)  # type: ignore[arg-type]


def pixels_of(x: Tensor) -> Tensor:
    return (255 * x).round().to(torch.uint8).permute(0, 2, 3, 1)


def test_a_clean_batch_is_pairs_of_patches_and_their_reductions(pictures: Path) -> None:
    trained = recipe(pictures)
    x, x_hr = trained.batch(3, 0)
    assert (x.shape, x_hr.shape) == ((2, 3, 16, 16), (2, 3, 64, 64))
    for small, large in zip(pixels_of(x), pixels_of(x_hr), strict=True):
        np.testing.assert_array_equal(small.numpy(), downscale(large.numpy(), 4))
    assert all(torch.equal(a, b) for a, b in zip((x, x_hr), trained.batch(3, 0), strict=True))
    assert not torch.equal(trained.batch(3, 1)[1], x_hr)


def test_with_a_codec_a_batch_is_what_it_makes_of_the_clean_one(
    pictures: Path, shipped: Path, shipped_network: TrainableCdsr1
) -> None:
    trained = recipe(pictures, codec=shipped)
    x_hat, x_hr = trained.batch(3, 0)
    x, same_hr = recipe(pictures).batch(3, 0)
    assert torch.equal(same_hr, x_hr)
    assert torch.equal(pixels_of(x_hat).float() / 255, x_hat.permute(0, 2, 3, 1))
    psnr_db = -10 * (x_hat - x).square().mean((1, 2, 3)).log10()
    # Levels are spread over the batch: low in its first half, high in the second.
    assert 20 < psnr_db[0] < psnr_db[1] < 60
    assert trained.codec is not None
    assert not x_hat.requires_grad


@pytest.mark.parametrize("network", ["edsr", "wdsr", "srgan"])
def test_muon_trains_the_convolutions_that_read_features(pictures: Path, network: str) -> None:
    trained = recipe(pictures, network=network)
    shapes = {name: p.shape for name, p in trained.module.named_parameters()}
    chosen = {name for name in shapes if trained.takes_muon(name)}
    assert {"upscaler.tail.weight"} < chosen
    assert all(len(shapes[name]) == 4 and shapes[name][1] > 3 for name in chosen)
    assert len(chosen) == {"edsr": 36, "wdsr": 49, "srgan": 36}[network]
    assert {trained.rate_factor(name) for name in chosen} == {1.0}
    assert trained.rate_factor("upscaler.head.weight") == 0.5


def test_srgan_has_features_beside_a_hundredth_of_the_pixels_or_pixels_alone(
    pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    features = VggFeatures([nn.Conv2d(3, 4, 3)])
    monkeypatch.setattr("cdsrcodec.training.enlarger_recipe.load_vgg", lambda: features)
    for content, expected in (("pixels", (1.0, 0.0, 0.25)), ("vgg", (0.01, 1.0, 0.25))):
        objective = recipe(pictures, adversarial_weight=0.25, content=content).module
        assert isinstance(objective, AdversarialObjective)
        assert objective.weights == expected
        assert objective.features is (features if content == "vgg" else None)
        assert not objective.relativistic


def run(
    pictures: Path, output: Path, network: str, steps: int = 2, **settings: object
) -> tuple[Path, dict[str, Tensor]]:
    config = EnlargerRecipeConfig(pictures, network, patch_px=16, batch=1, **settings)  # type: ignore[arg-type]
    loop = LoopConfig(output, steps=steps, warmup_steps=0, learning_rate=1e-3)
    file = train_enlarger(config, loop, CPU)
    return file, load_file(file)


@pytest.mark.parametrize("network", ["edsr", "wdsr"])
def test_a_run_moves_every_weight_and_is_exported(
    pictures: Path, tmp_path: Path, network: str
) -> None:
    file, state = run(pictures, tmp_path / "run", network)
    torch.manual_seed(0)
    start = trainable(network).state_dict()
    assert [name for name, t in state.items() if torch.equal(t, start[name])] == []
    assert export_run(tmp_path / "run", tmp_path / "shipped") == {}
    shipped = tmp_path / "shipped" / "enlarger.safetensors"
    assert shipped.stat().st_size < 4e6
    trained = trainable(network)
    trained.load_state_dict(state)
    x = torch.rand(1, 3, 8, 8)
    exported = load_enlarger(network, shipped)
    with torch.no_grad():
        torch.testing.assert_close(exported(x), folded(trained)(x), atol=2e-3, rtol=0)
    with safe_open(file, "pt") as opened:
        assert opened.metadata() == {"network": network}


def test_srgan_goes_on_from_its_network_with_an_adversarial_loss(
    pictures: Path, tmp_path: Path
) -> None:
    file, first = run(pictures, tmp_path / "first", "srgan", 1)
    _, second = run(pictures, tmp_path / "second", "srgan", 1, adversarial_weight=1e-3, start=file)
    assert second.keys() == first.keys()
    assert not torch.equal(second["tail.weight"], first["tail.weight"])
    mean = average_runs([tmp_path / "first", tmp_path / "second"], tmp_path / "mean")
    expected = (first["tail.weight"] + second["tail.weight"]) / 2
    torch.testing.assert_close(load_file(mean)["tail.weight"], expected)
    export_run(tmp_path / "mean", tmp_path / "shipped")
    assert not any(
        "norm" in name for name in load_file(tmp_path / "shipped" / "enlarger.safetensors")
    )


@pytest.mark.parametrize("network", ["edsr", "wdsr", "srgan"])
def test_what_was_exported_trains_on_and_is_exported_again(
    pictures: Path, tmp_path: Path, network: str
) -> None:
    run(pictures, tmp_path / "first", network)
    export_run(tmp_path / "first", tmp_path / "shipped")
    start = tmp_path / "shipped" / "enlarger.safetensors"
    begun = recipe(pictures, network=network, start=start).module
    assert isinstance(begun, EnlargementObjective)
    x = torch.rand(1, 3, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(begun.upscaler(x), load_enlarger(network, start)(x))
    _, state = run(pictures, tmp_path / "second", network, start=start)
    export_run(tmp_path / "second", tmp_path / "again")
    again = load_file(tmp_path / "again" / "enlarger.safetensors")
    for name, tensor in load_file(start).items():
        assert not torch.equal(again[name], tensor), name
        torch.testing.assert_close(again[name].float(), state[name], atol=1e-3, rtol=1e-3)


def test_a_picture_must_hold_the_enlarged_patch(pictures: Path) -> None:
    with pytest.raises(InputImageError, match="at least 192 px"):
        recipe(pictures, patch_px=48)


def test_a_start_of_another_network_is_an_error(pictures: Path, tmp_path: Path) -> None:
    start = tmp_path / "enlarger.safetensors"
    save_file(trainable("wdsr").state_dict(), start)
    for file in (start, tmp_path / "missing"):
        with pytest.raises(TrainingError, match=f"^{file}: not weights of this network. hint: "):
            recipe(pictures, start=file)


def test_a_run_of_an_unknown_network_is_not_exported(tmp_path: Path) -> None:
    file = tmp_path / "enlarger.safetensors"
    save_file({"x": torch.zeros(1)}, file, {"network": "magic"})
    with pytest.raises(TrainingError, match=f"^{file}: damaged, or not written by a run"):
        export_run(tmp_path, tmp_path / "target")
    save_file({"x": torch.zeros(1)}, file, {"network": "edsr"})
    with pytest.raises(TrainingError, match=f"^{file}: not weights of this network"):
        export_run(tmp_path, tmp_path / "target")
    assert not (tmp_path / "target").exists()
