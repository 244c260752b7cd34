"""The upscaler's recipe: where it starts, its losses and gradients, and the frozen codec."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from cdsrcodec.codec.upscalers import new_upscaler
from cdsrcodec.errors import InputImageError, TrainingError
from cdsrcodec.imageio.resampling import downscale
from cdsrcodec.sr.latent import LatentUpscaler
from cdsrcodec.training.codec_recipe import TrainableCdsr1
from cdsrcodec.training.distributed import Group
from cdsrcodec.training.frozen_codecs import FrozenCdsr1
from cdsrcodec.training.loop import LoopConfig, StepReport, TrainingLoop
from cdsrcodec.training.upscaler_recipe import (
    LOG_MSE_WEIGHT,
    EnlargementObjective,
    UpscalerRecipe,
    UpscalerRecipeConfig,
    load_upscaler,
)

CPU = torch.device("cpu")


def recipe(pictures: Path, codec: Path, **settings: object) -> UpscalerRecipe:
    config = {"patch_px": 32, "batch": 2, "blocks": 1} | settings
    return UpscalerRecipe(UpscalerRecipeConfig(pictures, codec, **config), CPU)  # type: ignore[arg-type]


def network_of(trained: UpscalerRecipe) -> TrainableCdsr1:
    assert isinstance(trained.codec, FrozenCdsr1)
    return trained.codec.network


def weights(module: nn.Module) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in module.named_parameters()}


def changed(module: nn.Module, before: dict[str, Tensor]) -> list[str]:
    return [name for name, p in module.named_parameters() if not torch.equal(p, before[name])]


@torch.no_grad()
def test_a_new_upscaler_is_the_bicubic_enlargement_of_the_decoded_picture(
    pictures: Path, shipped: Path
) -> None:
    trained = recipe(pictures, shipped)
    y_hat, level, x_hr = trained.batch(0, 0)
    patches = (255 * x_hr).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    reduced = np.stack([downscale(patch, 4) for patch in patches])
    x = torch.from_numpy(reduced).permute(0, 3, 1, 2).float() / 255
    x_hat, _, _ = network_of(trained)(x, level, noise=False)
    torch.testing.assert_close(trained.codec.synthesise(y_hat, level), x_hat)
    expected = F.interpolate(x_hat, scale_factor=4, mode="bicubic", align_corners=False)
    upscaler = trained.module.upscaler
    assert isinstance(upscaler, LatentUpscaler)
    assert upscaler.tail.weight.count_nonzero() == 0
    torch.testing.assert_close(upscaler(y_hat, level), expected, atol=1e-4, rtol=0)


def test_a_new_upscaler_owns_its_copy_of_the_synthesis(
    pictures: Path, shipped: Path, shipped_network: TrainableCdsr1
) -> None:
    upscaler = FrozenCdsr1(shipped, CPU).new_upscaler(2)
    copied = dict(shipped_network.g_s.named_parameters())
    for name, parameter in upscaler.get_submodule("synthesis").named_parameters():
        assert torch.equal(parameter, copied[name])
        assert parameter.data_ptr() != copied[name].data_ptr()
    assert all(parameter.requires_grad for parameter in upscaler.parameters())
    assert len(upscaler.trunk) == 2


def test_a_batch_is_latents_of_reduced_patches_with_their_originals(
    pictures: Path, shipped: Path
) -> None:
    trained = recipe(pictures, shipped)
    y_hat, level, x_hr = trained.batch(3, 0)
    assert y_hat.shape == (2, 224, 2, 2)
    assert x_hr.shape == (2, 3, 128, 128)
    assert 0 <= float(x_hr.min()) < float(x_hr.max()) <= 1
    assert float(level[0]) < 3.5 <= float(level[1]) < 7
    assert not y_hat.requires_grad
    with torch.no_grad():
        small = F.interpolate(trained.module.upscaler(y_hat, level), (32, 32), mode="area")
    reference = F.interpolate(x_hr, (32, 32), mode="area")
    psnr_db = -10 * (small - reference).square().mean((1, 2, 3)).log10()
    assert (psnr_db > 22).all()


def test_the_batch_of_a_step_and_rank_is_always_the_same(pictures: Path, shipped: Path) -> None:
    trained = recipe(pictures, shipped)
    first, same = trained.batch(4, 1), trained.batch(4, 1)
    assert all(torch.equal(a, b) for a, b in zip(first, same, strict=True))
    for step, rank in ((4, 0), (5, 1)):
        assert not torch.equal(trained.batch(step, rank)[2], first[2])


class Shift(nn.Module):
    """An upscaler that answers 0.1 and 0.3 on two pictures."""

    def forward(self, y_hat: Tensor, level: Tensor) -> Tensor:
        return torch.tensor([0.1, 0.3])[:, None, None, None].expand(2, 3, 8, 8)


def test_the_loss_is_the_mean_log_of_each_mse(pictures: Path, shipped: Path) -> None:
    objective = recipe(pictures, shipped).module
    objective.upscaler = Shift()
    loss, metrics = objective((torch.zeros(2, 1), torch.zeros(2), torch.zeros(2, 3, 8, 8)))
    mse = torch.tensor([0.01001, 0.09001])
    assert float(loss) == pytest.approx(LOG_MSE_WEIGHT * float(mse.log().mean()))
    assert float(metrics["psnr_rgb_db"]) == pytest.approx(15.229, abs=0.001)


def test_gradients_reach_every_part_once_the_tail_has_moved(pictures: Path, shipped: Path) -> None:
    trained = recipe(pictures, shipped)
    batch = trained.batch(0, 0)
    optimizer = torch.optim.Adam(trained.module.parameters(), lr=1e-4)
    for _ in range(2):
        optimizer.zero_grad()
        loss, _ = trained.module(batch)
        loss.backward()
        optimizer.step()
    broken = [
        name
        for name, p in trained.module.named_parameters()
        if p.grad is None or not p.grad.isfinite().all() or not p.grad.any()
    ]
    assert broken == []


def test_training_changes_the_upscaler_and_leaves_the_codec(
    tmp_path: Path, pictures: Path, shipped: Path
) -> None:
    trained = recipe(pictures, shipped)
    codec, upscaler = weights(network_of(trained)), weights(trained.module)
    reports: list[StepReport] = []
    # The second step moves what lies before the tail.
    settings = LoopConfig(tmp_path, steps=2, warmup_steps=0, precision="fp32")
    TrainingLoop(trained, settings, Group(CPU), reports.append).run()
    assert changed(network_of(trained), codec) == []
    assert changed(trained.module, upscaler) == list(upscaler)
    assert [report.metrics["skipped"] for report in reports] == [0, 0]
    (tmp_path / "checkpoint.pt").unlink()


def test_what_was_copied_from_the_synthesis_learns_slowly(pictures: Path, shipped: Path) -> None:
    trained = recipe(pictures, shipped)
    slow = {n for n, _ in trained.module.named_parameters() if trained.rate_factor(n) == 0.05}
    copied = {f"upscaler.synthesis.{n}" for n, _ in network_of(trained).g_s.named_parameters()}
    assert slow == copied | {"upscaler.scale16", "upscaler.scale8"}
    assert trained.rate_factor("upscaler.trunk_scale") == 0.5


def test_muon_trains_the_convolutions_of_trunk_and_tail(pictures: Path, shipped: Path) -> None:
    trained = recipe(pictures, shipped)
    chosen = {n: p for n, p in trained.module.named_parameters() if trained.takes_muon(n)}
    upscaler = trained.module.upscaler
    assert isinstance(upscaler, LatentUpscaler)
    blocks = {
        f"upscaler.trunk.{block}.conv{conv}.weight"
        for block in range(len(upscaler.trunk))
        for conv in (1, 2)
    }
    assert set(chosen) == blocks | {"upscaler.tail.weight"}
    assert {trained.rate_factor(name) for name in chosen} == {1.0}


def test_a_picture_must_hold_the_enlarged_patch(pictures: Path, shipped: Path) -> None:
    with pytest.raises(InputImageError, match="at least 192 px"):
        recipe(pictures, shipped, patch_px=48)


def test_a_missing_codec_is_an_error(pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="missing: no weights of a codec"):
        recipe(pictures, tmp_path / "missing")


def test_training_can_start_from_an_upscaler_file(
    tmp_path: Path, pictures: Path, shipped: Path
) -> None:
    start = tmp_path / "upscaler.safetensors"
    state = {k: v + 0.25 for k, v in new_upscaler("cdsr1", 1).state_dict().items()}
    save_file(state, start)
    module = recipe(pictures, shipped, start=start).module
    assert all(torch.equal(p, state[name]) for name, p in module.upscaler.named_parameters())


def test_an_upscaler_file_of_another_size_is_an_error(tmp_path: Path) -> None:
    start = tmp_path / "upscaler.safetensors"
    save_file(new_upscaler("cdsr1", 1).state_dict(), start)
    with pytest.raises(TrainingError, match=f"^{start}: not weights .* hint: --blocks must be"):
        load_upscaler(new_upscaler("cdsr1", 2), start)


@pytest.mark.parametrize("data", [None, b"", b"no weights"], ids=["missing", "empty", "text"])
def test_a_file_that_is_no_upscaler_is_an_error(tmp_path: Path, data: bytes | None) -> None:
    start = tmp_path / "upscaler.safetensors"
    if data is not None:
        start.write_bytes(data)
    with pytest.raises(TrainingError, match="not weights of this network"):
        load_upscaler(new_upscaler("cdsr1", 0), start)


def test_the_objective_is_in_pixels_of_the_large_picture() -> None:
    objective = EnlargementObjective(new_upscaler("cdsr1", 0))
    assert isinstance(objective.upscaler, LatentUpscaler)
    y_hat = torch.zeros(1, 224, 1, 1)
    loss, metrics = objective((y_hat, torch.zeros(1), torch.zeros(1, 3, 64, 64)))
    assert loss.requires_grad
    assert not metrics["psnr_rgb_db"].requires_grad
