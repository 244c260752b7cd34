"""What a run was begun for, which a command that resumes it must share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from cdsrcodec.errors import TrainingError
from cdsrcodec.training.adversarial import LossWeights
from cdsrcodec.training.codec_recipe import CodecRecipe, CodecRecipeConfig
from cdsrcodec.training.enlarger_recipe import EnlargerRecipe, EnlargerRecipeConfig
from cdsrcodec.training.gained_recipe import GainedRecipe, GainedRecipeConfig
from cdsrcodec.training.hyperprior_recipe import HyperpriorRecipe, HyperpriorRecipeConfig
from cdsrcodec.training.recipe import Recipe, check_aim
from cdsrcodec.training.upscaler_recipe import UpscalerRecipe, UpscalerRecipeConfig

CPU = torch.device("cpu")
CHECKPOINT = Path("run/checkpoint.pt")
NO_FEATURES = LossWeights(1.0, 0.0, 0.1)


def codec(pictures: Path, shipped: Path, **settings: object) -> Recipe:
    small = {"patch_px": 16, "batch": 1, "start": shipped} | settings
    return CodecRecipe(CodecRecipeConfig(pictures, **small), CPU)  # type: ignore[arg-type]


def hyperprior(pictures: Path, _shipped: Path, **settings: object) -> Recipe:
    small = {"quality": 1, "patch_px": 16} | settings
    return HyperpriorRecipe(HyperpriorRecipeConfig(pictures, **small), CPU)  # type: ignore[arg-type]


def upscaler(pictures: Path, shipped: Path, **settings: object) -> Recipe:
    small = {"patch_px": 16, "blocks": 1} | settings
    return UpscalerRecipe(UpscalerRecipeConfig(pictures, shipped, **small), CPU)  # type: ignore[arg-type]


def enlarger(pictures: Path, _shipped: Path, **settings: object) -> Recipe:
    small = {"patch_px": 16} | settings
    return EnlargerRecipe(EnlargerRecipeConfig(pictures, **small), CPU)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("recipe", "then", "now", "message"),
    [
        (codec, {}, {"metric": "ms-ssim"}, "metric mse, not ms-ssim"),
        (codec, {"part": "decoder"}, {"part": "all"}, "part decoder, not all"),
        (hyperprior, {}, {"quality": 2}, "quality 1, not 2"),
        (hyperprior, {"metric": "ms-ssim"}, {}, "metric ms-ssim, not mse"),
        (upscaler, {}, {"perceptual": NO_FEATURES}, "a loss for PSNR, not with weights (1.0, 0.0"),
        (enlarger, {}, {"network": "wdsr"}, "network edsr, not wdsr"),
        (enlarger, {"adversarial_weight": 0.1}, {}, "a loss of pixels and 0.1 of a discriminator"),
    ],
)
def test_a_checkpoint_of_another_aim_is_refused(
    recipe: Callable[..., Recipe], then: dict[str, object], now: dict[str, object],
    message: str, pictures: Path, shipped: Path,
) -> None:  # fmt: skip
    stored = recipe(pictures, shipped, **then).aim
    with pytest.raises(TrainingError) as caught:
        check_aim(CHECKPOINT, stored, recipe(pictures, shipped, **now).aim)
    assert str(caught.value).startswith(f"{CHECKPOINT}: the checkpoint is of a run with {message}")
    assert ". hint: " in str(caught.value)


def test_pictures_and_the_size_of_a_step_are_no_aim(pictures: Path, shipped: Path) -> None:
    then = codec(pictures, shipped).aim
    now = codec(pictures / "more", shipped, patch_px=32, batch=2).aim
    assert now == then


def test_transforms_go_on_with_the_latents_of_one_encoder(
    pictures: Path, shipped: Path, codec_run: Path
) -> None:
    then = codec(pictures, shipped, part="transforms").aim
    now = codec(pictures, codec_run / "codec.safetensors", part="transforms").aim
    with pytest.raises(TrainingError, match=f"a run with start {shipped}, not "):
        check_aim(CHECKPOINT, then, now)


def test_enlargers_are_told_by_the_pictures_that_they_enlarge(
    pictures: Path, shipped: Path
) -> None:
    then = enlarger(pictures, shipped).aim
    now = enlarger(pictures, shipped, codec=shipped).aim
    with pytest.raises(TrainingError, match="pictures that are clean, not of cdsr1"):
        check_aim(CHECKPOINT, then, now)


def test_the_gained_codec_has_one_aim(pictures: Path) -> None:
    assert GainedRecipe(GainedRecipeConfig(pictures, patch_px=64), CPU).aim == {}
