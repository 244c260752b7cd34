"""The codec's recipe: its network against the real codec, its loss, gradients and draws."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from cdsrcodec.codec import encode_pixels
from cdsrcodec.container import read_stream
from cdsrcodec.errors import InputImageError, TrainingError
from cdsrcodec.models.cdsr1 import LMBDAS
from cdsrcodec.training.codec_recipe import (
    CodecBatch,
    CodecRecipe,
    CodecRecipeConfig,
    RateDistortionObjective,
    TrainableCdsr1,
    load_network,
)

CPU = torch.device("cpu")
NONE = torch.empty(0)  # of former latents
DECODER = ("g_s.", "quality.g_s_scale16", "quality.g_s_scale8", "quality.log_gain_correction")


def recipe(pictures: Path, start: Path | None = None, **settings: object) -> CodecRecipe:
    config = {"patch_px": 64, "batch": 2, "factors": (1,), "start": start} | settings
    return CodecRecipe(CodecRecipeConfig(pictures, **config), CPU)  # type: ignore[arg-type]


def psnr_db(x: Tensor, x_hat: Tensor) -> float:
    return -10 * math.log10(float((x - x_hat.clamp(0, 1)).square().mean()))


@torch.inference_mode()
def test_the_shipped_weights_fill_the_network_and_code_as_the_codec_does(
    shipped_network: TrainableCdsr1, photograph: NDArray[np.uint8]
) -> None:
    x = torch.from_numpy(photograph).permute(2, 0, 1)[None].float() / 255
    for quality in (1.5, 4.0, 7.0):
        level = torch.tensor([quality - 1])
        x_hat, y_bits, z_bits = shipped_network(x, level, noise=False)
        data = encode_pixels(photograph, quality=quality, codec="cdsr1", device=CPU)
        payload_bits = 8 * len(read_stream(data).payload)
        assert float(y_bits + z_bits) == pytest.approx(payload_bits, rel=0.03)
        assert quality != 4 or psnr_db(x, x_hat) > 28


@torch.inference_mode()
def test_the_rate_of_noise_is_near_that_of_the_integers(
    shipped_network: TrainableCdsr1, photograph: NDArray[np.uint8]
) -> None:
    torch.manual_seed(0)
    x = torch.from_numpy(photograph).permute(2, 0, 1)[None].float() / 255
    level = torch.tensor([5.0])
    noisy, again = (shipped_network(x, level, noise=True)[1:] for _ in range(2))
    rounded = shipped_network(x, level, noise=False)[1:]
    assert float(sum(noisy)) == pytest.approx(float(sum(rounded)), rel=0.15)
    assert not torch.equal(noisy[0], again[0])


def test_z_is_rounded_about_the_medians_and_lets_gradients_pass() -> None:
    network = TrainableCdsr1()
    with torch.no_grad():
        network.entropy_bottleneck.quantiles[:, 0, 1] = torch.linspace(-3.3, 3.3, 128)
    z = (5 * torch.randn(1, 128, 2, 2)).requires_grad_(True)
    z_hat = network.quantise_z(z)
    offsets = z_hat - torch.linspace(-3.3, 3.3, 128)[None, :, None, None]
    torch.testing.assert_close(offsets, offsets.round(), atol=1e-5, rtol=0)
    assert float((z_hat - z).detach().abs().max()) < 0.5001
    (gradient,) = torch.autograd.grad(z_hat.sum(), z)
    assert torch.equal(gradient, torch.ones_like(z))


def test_every_parameter_gets_a_finite_gradient_other_than_zero(
    pictures: Path, shipped: Path
) -> None:
    trained = recipe(pictures, shipped)
    loss, _ = trained.module(trained.batch(0, 0))
    loss.backward()
    gradients = {name: p.grad for name, p in trained.module.named_parameters()}
    assert len(gradients) == len(list(TrainableCdsr1().parameters()))
    broken = [
        name
        for name, gradient in gradients.items()
        if gradient is None or not gradient.isfinite().all() or not gradient.any()
    ]
    assert broken == []


def test_gradients_point_downhill(pictures: Path, shipped: Path) -> None:
    trained = recipe(pictures, shipped, part="decoder")
    batch = trained.batch(0, 0)
    parameters = [p for p in trained.module.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(parameters, lr=1e-4)
    losses = []
    for _ in range(4):
        optimizer.zero_grad()
        loss, _ = trained.module(batch)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 0.99 * losses[0]


def test_the_part_decoder_trains_the_synthesis_and_its_tables_only(pictures: Path) -> None:
    trained = recipe(pictures, part="decoder")
    names = {name for name, p in trained.network.named_parameters() if p.requires_grad}
    decoder = {n for n, _ in trained.network.named_parameters() if n.startswith(DECODER)}
    assert names == decoder
    assert not trained.module.train_rate


def test_the_part_transforms_trains_all_but_the_entropy_part(pictures: Path) -> None:
    trained = recipe(pictures, part="transforms")
    frozen = {name for name, p in trained.network.named_parameters() if not p.requires_grad}
    entropy_part = ("h_s.", "prior.", "entropy_bottleneck.", "quality.log_gain.")
    assert frozen == {n for n in frozen if f"{n}.".startswith(entropy_part)}
    assert {f"{name}.".split(".")[0] for name in frozen} == {
        "h_s", "prior", "entropy_bottleneck", "quality",
    }  # fmt: skip
    assert trained.module.train_rate


def test_a_quarter_of_the_patches_are_latents_of_the_encoder_from_before(
    pictures: Path, shipped: Path
) -> None:
    trained = recipe(pictures, shipped, part="transforms", batch=4)
    first = trained.batch(0, 0)
    assert first.former_latents.shape == (1, 224, 4, 4)
    with torch.inference_mode():
        x_hat = trained.network.synthesise(first.former_latents, first.level[3:])
    assert psnr_db(first.x[3:], x_hat) > 25
    levels = torch.stack([trained.batch(step, 0).level[3] for step in range(8)])
    assert levels.min() < 3.5 < levels.max()
    with torch.no_grad():
        trained.network.g_a.head.weight.zero_()
        trained.network.g_s.tail.weight.zero_()
    assert torch.equal(trained.batch(0, 0).former_latents, first.former_latents)


def test_of_two_patches_every_other_step_has_a_former_latent(pictures: Path) -> None:
    trained = recipe(pictures, part="transforms")
    former = [len(trained.batch(step, 0).former_latents) for step in range(40)]
    assert set(former) == {0, 1}
    assert 10 < sum(former) < 30
    alone = recipe(pictures, part="transforms", batch=1)
    assert not any(len(alone.batch(step, 0).former_latents) for step in range(12))


def test_former_latents_train_the_synthesis_alone(pictures: Path, shipped: Path) -> None:
    trained = recipe(pictures, shipped, part="transforms", batch=4)
    x, level, former = trained.batch(0, 0)

    def gradients(wanted: Tensor) -> tuple[float, Tensor, Tensor]:
        torch.manual_seed(0)  # of the noise
        trained.module.zero_grad()
        loss, _ = trained.module(CodecBatch(torch.cat([x[:3], wanted]), level, former))
        loss.backward()
        heads = trained.network.g_a.head.weight.grad, trained.network.g_s.head.weight.grad
        assert heads[0] is not None
        assert heads[1] is not None
        return float(loss.detach()), heads[0].clone(), heads[1].clone()

    loss, analysis, synthesis = gradients(x[3:])
    other_loss, other_analysis, other_synthesis = gradients(1 - x[3:])
    assert other_loss > loss
    torch.testing.assert_close(other_analysis, analysis)
    assert not torch.allclose(other_synthesis, synthesis)


def test_all_parameters_learn_at_one_rate(pictures: Path) -> None:
    trained = recipe(pictures)
    assert {trained.rate_factor(name) for name, _ in trained.module.named_parameters()} == {1.0}


class Fixed(nn.Module):
    """A network that always answers the same: MSE 0.01 and 0.04, 100 bits and 300."""

    def __init__(self) -> None:
        super().__init__()
        self.bits = nn.Parameter(torch.tensor([80.0, 260.0]))
        self.entropy_bottleneck = nn.Module()
        self.entropy_bottleneck.loss = lambda: torch.tensor(1000.0)  # type: ignore[assignment]

    def forward(self, x: Tensor, level: Tensor, *, noise: bool) -> tuple[Tensor, Tensor, Tensor]:
        offset = torch.tensor([0.1, 0.2])[:, None, None, None]
        return x + offset, self.bits, torch.tensor([20.0, 40.0])


def test_the_loss_weighs_rate_and_distortion_by_the_level() -> None:
    network = Fixed()
    objective = RateDistortionObjective(network, train_rate=True)  # type: ignore[arg-type]
    batch = CodecBatch(torch.zeros(2, 3, 10, 10), torch.tensor([0.0, 3.0]), NONE)
    loss, metrics = objective(batch)
    low = (LMBDAS[0] * 255**2 * 0.01 + 1.0) * (LMBDAS[0] / 0.013) ** -0.5
    middle = LMBDAS[3] * 255**2 * 0.04 + 3.0
    assert float(loss.detach()) == pytest.approx((low + middle) / 2 + 1e-3 * 1000)
    assert float(metrics["bpp"]) == pytest.approx(2.0)
    assert float(metrics["psnr_rgb_db"]) == pytest.approx((20 + 10 * math.log10(25)) / 2)
    loss.backward()
    assert network.bits.grad is not None
    assert network.bits.grad.tolist() == pytest.approx([0.005 * (LMBDAS[0] / 0.013) ** -0.5, 0.005])


def test_the_loss_can_be_of_ms_ssim() -> None:
    x = torch.rand(2, 3, 176, 176, generator=torch.Generator().manual_seed(0))
    objective = RateDistortionObjective(Fixed(), train_rate=True, metric="ms-ssim")  # type: ignore[arg-type]
    loss, metrics = objective(CodecBatch(x, torch.tensor([3.0, 3.0]), NONE))
    bpp = 200 / 176**2
    assert float(metrics["bpp"]) == pytest.approx(bpp)
    assert 0.5 < float(metrics["ms_ssim"]) < 1
    expected = 16.64 * (1 - float(metrics["ms_ssim"])) + bpp + 1e-3 * 1000
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-5)


def test_a_patch_may_have_any_multiple_of_16_pixels(pictures: Path, shipped: Path) -> None:
    trained = recipe(pictures, shipped, patch_px=80)
    loss, metrics = trained.module(trained.batch(0, 0))
    assert float(loss.detach()) > float(metrics["bpp"]) > 0
    assert float(metrics["psnr_rgb_db"]) > 25


def test_without_the_rate_the_loss_has_no_gradient_of_it() -> None:
    network = Fixed()
    objective = RateDistortionObjective(network, train_rate=False)  # type: ignore[arg-type]
    loss, _ = objective(CodecBatch(torch.zeros(2, 3, 10, 10), torch.tensor([0.0, 3.0]), NONE))
    assert not loss.requires_grad


def test_a_batch_is_pictures_in_0_to_1_and_a_level_each(pictures: Path) -> None:
    x, level, former_latents = recipe(pictures, batch=3).batch(0, 0)
    assert (x.shape, x.dtype) == ((3, 3, 64, 64), torch.float32)
    assert 0 <= float(x.min()) < float(x.max()) <= 1
    assert level.shape == (3,)
    assert len(former_latents) == 0


def test_the_batch_of_a_step_and_rank_is_always_the_same(pictures: Path) -> None:
    trained, again = recipe(pictures), recipe(pictures)
    for part, same in zip(trained.batch(4, 1), again.batch(4, 1), strict=True):
        assert torch.equal(part, same)
    for step, rank in ((4, 0), (5, 1)):
        x, level, _ = trained.batch(step, rank)
        assert not torch.equal(x, again.batch(4, 1)[0])
        assert not torch.equal(level, again.batch(4, 1)[1])


def test_every_batch_has_low_and_high_rates(pictures: Path) -> None:
    trained = recipe(pictures, batch=4)
    levels = torch.stack([trained.batch(step, 0)[1] for step in range(20)])
    quarters = (levels / 1.75).floor()
    assert (quarters == torch.arange(4.0)).all()
    assert levels.min() < 0.5
    assert levels.max() > 6.5


def test_a_bias_below_1_draws_high_rates_more_often(pictures: Path) -> None:
    means = [
        float(recipe(pictures, batch=4, high_rate_bias=bias).batch(0, 0)[1].mean())
        for bias in (0.5, 1.0, 2.0)
    ]
    assert means[0] > means[1] + 0.5
    assert means[1] > means[2] + 0.5


def test_pictures_must_hold_a_patch_of_the_smallest_factor(pictures: Path) -> None:
    assert len(recipe(pictures, factors=(4, 2)).images) == 3
    with pytest.raises(InputImageError, match="at least 192 px"):
        recipe(pictures, factors=(4, 3))


def test_the_seed_decides_the_initialisation(pictures: Path) -> None:
    heads = [recipe(pictures, seed=seed).network.g_a.head.weight for seed in (0, 0, 1)]
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])


def test_a_file_of_float_weights_fills_the_network(
    tmp_path: Path, shipped_network: TrainableCdsr1
) -> None:
    state = {name: p.half() for name, p in shipped_network.named_parameters()}
    save_file(state, tmp_path / "codec.safetensors")
    network = TrainableCdsr1()
    load_network(network, tmp_path / "codec.safetensors")
    for name, parameter in network.named_parameters():
        assert parameter.dtype == torch.float32
        assert torch.equal(parameter, state[name].float())


def test_a_missing_start_is_an_error(tmp_path: Path) -> None:
    start = tmp_path / "missing"
    with pytest.raises(TrainingError, match=f"^{start}: no weights .* hint: name a codec.safe"):
        load_network(TrainableCdsr1(), start)


@pytest.mark.parametrize("name", ["entropy", "encoder", "decoder", "training"])
def test_a_folder_without_one_of_the_files_is_an_error(
    tmp_path: Path, shipped: Path, name: str
) -> None:
    for file in shipped.glob("*.safetensors"):
        if file.stem != name:
            (tmp_path / file.name).symlink_to(file)
    with pytest.raises(TrainingError, match=f"{name}.safetensors"):
        load_network(TrainableCdsr1(), tmp_path)


@pytest.mark.parametrize("keep_bytes", [0, 7, 1000, -1])
def test_a_damaged_file_is_an_error(tmp_path: Path, shipped: Path, keep_bytes: int) -> None:
    start = tmp_path / "codec.safetensors"
    start.write_bytes((shipped / "training.safetensors").read_bytes()[:keep_bytes])
    with pytest.raises(TrainingError, match="no weights of this codec"):
        load_network(TrainableCdsr1(), start)


def test_weights_of_another_network_are_an_error_and_change_nothing(
    tmp_path: Path, shipped: Path
) -> None:
    network = TrainableCdsr1()
    before = network.g_a.head.weight.clone()
    with pytest.raises(TrainingError, match="not weights of this codec: "):
        load_network(network, shipped / "decoder.safetensors")
    state = {name: p.detach() for name, p in TrainableCdsr1().named_parameters()}
    save_file(state | {"h_a.4.bias": torch.zeros(3)}, tmp_path / "x.safetensors")
    with pytest.raises(TrainingError, match=r"h_a\.4\.bias does not fit"):
        load_network(network, tmp_path / "x.safetensors")
    assert torch.equal(network.g_a.head.weight, before)


def test_entropy_files_that_lack_a_layer_are_an_error(tmp_path: Path, shipped: Path) -> None:
    entropy = load_file(shipped / "entropy.safetensors")
    del entropy["h_s.2.shift"]
    save_file(entropy, tmp_path / "entropy.safetensors")
    with pytest.raises(TrainingError, match=r"h_s\.2\.shift"):
        load_network(TrainableCdsr1(), tmp_path)
