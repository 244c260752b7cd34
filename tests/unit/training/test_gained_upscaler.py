"""`latent` of bmshj2018-hyperprior-gain: the frozen codec, the recipe, the way to 4x pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch.nn import functional as F

from cdsrcodec.codec import decode_pixels, decode_symbols, encode_pixels
from cdsrcodec.codec.loading import latent_upscaler
from cdsrcodec.errors import ModelError, TrainingError
from cdsrcodec.models import registry
from cdsrcodec.models.registry import BMSHJ2018_HYPERPRIOR_GAIN as CODEC
from cdsrcodec.sr import registry as sr_registry
from cdsrcodec.sr.registry import UpscalerEntry
from cdsrcodec.training.adversarial import LossWeights
from cdsrcodec.training.enlarger_recipe import EnlargerRecipe, EnlargerRecipeConfig
from cdsrcodec.training.frozen_codecs import FrozenCodec, FrozenGained, load_frozen
from cdsrcodec.training.gained_recipe import TrainableGainedHyperprior
from cdsrcodec.training.loop import LoopConfig
from cdsrcodec.training.runs import average_runs, export_run, train_upscaler
from cdsrcodec.training.storage import read_checkpoint
from cdsrcodec.training.upscaler_recipe import UpscalerRecipe, UpscalerRecipeConfig, start_from

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def gained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run of the codec leaves, of random weights: gained.safetensors."""
    torch.manual_seed(0)
    file = tmp_path_factory.mktemp("gained") / "gained.safetensors"
    network = TrainableGainedHyperprior()
    with torch.no_grad():
        network.g_a[-1].weight *= 8  # so that there is something to round
    save_file(network.state_dict(), file, {"levels": "6"})
    return file


@pytest.fixture(scope="module")
def frozen(gained: Path) -> FrozenCodec:
    return load_frozen(gained, CPU)


def config(pictures: Path, codec: Path, **settings: object) -> UpscalerRecipeConfig:
    small = {"patch_px": 16, "batch": 2, "blocks": 1} | settings
    return UpscalerRecipeConfig(pictures, codec, **small)  # type: ignore[arg-type]


def run(pictures: Path, codec: Path, output: Path, steps: int) -> Path:
    loop = LoopConfig(output, steps=steps, warmup_steps=0, learning_rate=1e-3)
    return train_upscaler(config(pictures, codec), loop, CPU)


@pytest.fixture(scope="module")
def gained_upscaler_run(pictures: Path, gained: Path, run_folders: Callable[[str], Path]) -> Path:
    """A run of two steps that was ended and then went on for a third."""
    output = run_folders("gained-upscaler")
    run(pictures, gained, output, 2)
    return run(pictures, gained, output, 3).parent


@pytest.fixture
def exported(
    gained: Path, gained_upscaler_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Folder of the files of both runs, which are the package's for the time of a test."""
    for finished in (gained.parent, gained_upscaler_run):
        export_run(finished, tmp_path)
    codec = replace(registry.CODECS[CODEC], folder=tmp_path)
    monkeypatch.setitem(registry.CODECS, CODEC, codec)
    entry = UpscalerEntry("latent", CODEC, tmp_path / "latent.safetensors")
    others = (e for e in sr_registry.UPSCALERS if e.codec != CODEC)
    monkeypatch.setattr(sr_registry, "UPSCALERS", (entry, *others))
    return tmp_path


def test_what_is_frozen_codes_as_encoding_does(
    frozen: FrozenCodec, exported: Path, photograph: NDArray[np.uint8]
) -> None:
    patches = np.stack([photograph[:32, :48], photograph[64:96, 48:96]])
    x = torch.from_numpy(patches).permute(0, 3, 1, 2).float() / 255
    y_hat = frozen.code(x, torch.tensor([0.5, 4.0]))
    same = load_frozen(exported, CPU)
    assert torch.equal(same.code(x, torch.tensor([0.5, 4.0])), y_hat)
    for patch, quality, its_y_hat in zip(patches, (1.5, 5.0), y_hat, strict=True):
        data = encode_pixels(patch, quality=quality, codec=CODEC, device=CPU)
        rounded = decode_symbols(data).y_hat_gained
        assert rounded.abs().max() >= 2
        assert isinstance(same, FrozenGained)
        expected = same.decoder.dequantise(rounded, torch.tensor([quality - 1]))
        torch.testing.assert_close(its_y_hat[None], expected)


def test_a_batch_has_latents_at_all_levels_and_the_upscaler_starts_as_bicubic(
    pictures: Path, gained: Path
) -> None:
    recipe = UpscalerRecipe(config(pictures, gained), CPU)
    y_hat, level, x_hr = recipe.batch(0, 0)
    assert (y_hat.shape, x_hr.shape) == ((2, 192, 1, 1), (2, 3, 64, 64))
    assert 0 <= level[0] < 2.5 <= level[1] < 5
    small = recipe.codec.synthesise(y_hat, level)
    expected = F.interpolate(small, scale_factor=4, mode="bicubic", align_corners=False)
    upscaler = recipe.module.get_submodule("upscaler")
    torch.testing.assert_close(upscaler(y_hat, level), expected)


def test_a_run_moves_all_but_what_normalises(
    frozen: FrozenCodec, gained_upscaler_run: Path
) -> None:
    file = gained_upscaler_run / "upscaler.safetensors"
    with safe_open(file, "pt") as opened:
        assert opened.metadata() == {"blocks": "1", "codec": CODEC}
    state, start = load_file(file), frozen.new_upscaler(1).state_dict()
    still = {name for name, t in state.items() if torch.equal(t, start[name])}
    # Random start apart, which another seed drew: what was copied has moved, or it is of GDN.
    assert still == {
        f"synthesis.{index}.{name}" for index in (1, 3, 5) for name in ("beta", "gamma")
    }
    copied = [name for name in state if name.startswith(("synthesis", "scale"))]
    assert max(float((state[name] - start[name]).abs().max()) for name in copied) < 1e-3
    assert read_checkpoint(gained_upscaler_run / "checkpoint.pt", CPU)["step"] == 3


def test_streams_of_the_codec_are_enlarged_by_what_was_exported(
    exported: Path, photograph: NDArray[np.uint8]
) -> None:
    data = encode_pixels(photograph[:40, :50], quality=3.25, codec=CODEC, device=CPU)
    large = decode_pixels(data, sr=4, upscaler="latent", device=CPU).astype(int)
    assert large.shape == (160, 200, 3)
    bicubic = decode_pixels(data, sr=4, upscaler="bicubic", device=CPU).astype(int)
    assert 0 < np.abs(large - bicubic).mean() < 6
    with pytest.raises(ModelError, match="'latent-perceptual' does not read files of bmshj2018"):
        decode_pixels(data, sr=4, upscaler="latent-perceptual", device=CPU)
    (exported / "latent.safetensors").unlink()
    latent_upscaler.cache_clear()
    with pytest.raises(ModelError, match="hint: add --upscaler bicubic or lanczos or "):
        decode_pixels(data, sr=4, upscaler="latent", device=CPU)


def test_weights_for_another_codec_s_latents_are_refused(exported: Path) -> None:
    file = exported / "latent.safetensors"
    with pytest.raises(
        ModelError, match=rf"^{file}: weights for latents of {CODEC}, not of cdsr1\. hint: "
    ):
        latent_upscaler(UpscalerEntry("latent", "cdsr1", file), CPU)


def test_the_trunk_of_the_other_codec_s_upscaler_is_a_start(
    frozen: FrozenCodec, upscaler_run: Path
) -> None:
    upscaler, plain = frozen.new_upscaler(1), frozen.new_upscaler(1).state_dict()
    start_from(upscaler, CODEC, upscaler_run / "upscaler.safetensors")
    other = load_file(upscaler_run / "upscaler.safetensors")
    for name, tensor in upscaler.state_dict().items():
        if name.startswith(("head.", "trunk.", "tail.")):
            assert torch.equal(tensor, other[name])
        elif name.startswith("expand."):
            assert not tensor.any()
        else:
            assert torch.equal(tensor, other[name][:6] if name == "trunk_scale" else plain[name])
    with pytest.raises(TrainingError, match=r"hint: --blocks must be that of the file"):
        start_from(frozen.new_upscaler(2), CODEC, upscaler_run / "upscaler.safetensors")


@pytest.mark.parametrize("codec", [None, "magic"])
def test_a_start_that_is_no_upscaler_is_an_error(
    frozen: FrozenCodec, tmp_path: Path, codec: str | None
) -> None:
    if codec is not None:
        save_file({"x": torch.zeros(1)}, tmp_path / "start", {"codec": codec})
    with pytest.raises(TrainingError, match=r"start: not weights of this network\. hint: "):
        start_from(frozen.new_upscaler(1), CODEC, tmp_path / "start")


def test_what_belongs_to_the_other_codec_is_no_part_of_a_mean(
    gained_upscaler_run: Path, upscaler_run: Path, tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match="the runs trained different networks"):
        average_runs([gained_upscaler_run, upscaler_run], tmp_path / "mean")
    mean = average_runs([gained_upscaler_run, gained_upscaler_run], tmp_path / "mean")
    with safe_open(mean, "pt") as opened:
        assert opened.metadata() == {"blocks": "1", "codec": CODEC}


def test_there_is_no_perceptual_one_to_train(pictures: Path, gained: Path) -> None:
    with pytest.raises(
        TrainingError, match=f"no latent-perceptual for {CODEC}, only for cdsr1.* leave out --perc"
    ):
        UpscalerRecipe(config(pictures, gained, perceptual=LossWeights()), CPU)


def test_networks_of_pixels_can_be_trained_on_its_pictures(pictures: Path, gained: Path) -> None:
    settings = EnlargerRecipeConfig(pictures, codec=gained, patch_px=16, batch=2)
    x_hat, _ = EnlargerRecipe(settings, CPU).batch(0, 0)
    clean, _ = EnlargerRecipe(replace(settings, codec=None), CPU).batch(0, 0)
    assert torch.equal((255 * x_hat).round() / 255, x_hat)
    assert not torch.equal(x_hat, clean)


@pytest.mark.parametrize("tensor", ["g_s.0.weight", "g_s.head.weight"])
def test_a_folder_of_something_else_is_an_error(tmp_path: Path, tensor: str) -> None:
    save_file({tensor: torch.zeros(1)}, tmp_path / "decoder.safetensors")
    with pytest.raises(TrainingError, match=rf"^{tmp_path}: no weights of .* hint: ") as caught:
        load_frozen(tmp_path, CPU)
    assert "\n" not in str(caught.value)
