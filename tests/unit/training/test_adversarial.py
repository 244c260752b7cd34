"""The losses of SRGAN and ESRGAN: their formulas, and whom their gradients reach."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from cdsrcodec.training.adversarial import AdversarialObjective, Discriminator, LossWeights


class Constant(nn.Module):
    """Enlarges to one value, which is learnt."""

    def __init__(self) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor(0.5))

    def forward(self, x: Tensor) -> Tensor:
        return self.value.expand(len(x), 3, 16, 16)


def gradients(weight: float, *, relativistic: bool) -> tuple[Tensor, Tensor]:
    """Of the upscaler's value, and of the discriminator, for pictures that are too bright."""
    torch.manual_seed(0)
    weights = LossWeights(1.0, 0.0, weight)
    objective = AdversarialObjective(Constant(), weights, relativistic=relativistic)
    loss, metrics = objective((torch.zeros(2, 3, 4, 4), torch.full((2, 3, 16, 16), 0.25)))
    loss.backward()
    assert 0 <= float(metrics["told_apart"]) <= 1
    assert float(metrics["psnr_rgb_db"]) == pytest.approx(12.04, abs=0.01)
    judge = [p.grad.flatten() for p in objective.discriminator.parameters() if p.grad is not None]
    value = objective.upscaler.get_parameter("value").grad
    assert value is not None
    return value, torch.cat(judge)


@pytest.mark.parametrize("relativistic", [False, True])
def test_network_and_discriminator_see_each_other_as_constants(relativistic: bool) -> None:
    without, judge = gradients(0.0, relativistic=relativistic)
    assert float(without) == pytest.approx(1.0)  # L1 alone
    with_it, same_judge = gradients(100.0, relativistic=relativistic)
    assert float(with_it) != pytest.approx(1.0)
    assert judge.any()
    assert torch.equal(judge, same_judge)


class Mean(nn.Module):
    """A discriminator whose logit is the mean of a picture in [-1, 1], times what it learns."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(2.0))

    def forward(self, x: Tensor) -> Tensor:
        return self.gain * x.mean((1, 2, 3))


def test_the_relativistic_average_losses_are_those_of_the_paper() -> None:
    objective = AdversarialObjective(nn.Identity(), LossWeights(0, 0, 0.5), relativistic=True)
    objective.discriminator = Mean()  # type: ignore[assignment]
    real = torch.tensor([0.9, 0.6, 0.3])[:, None, None, None].expand(3, 3, 4, 4)
    fake = torch.tensor([0.2, 0.7, 0.1])[:, None, None, None].expand(3, 3, 4, 4)
    loss, metrics = objective((fake, real))
    c_real, c_fake = (2 * (2 * x.mean((1, 2, 3)) - 1) for x in (real, fake))
    # D_Ra(r, f) and D_Ra(f, r) of arXiv:1809.00219, section 3.2.
    d_real = torch.sigmoid(c_real - c_fake.mean())
    d_fake = torch.sigmoid(c_fake - c_real.mean())
    of_discriminator = -d_real.log().mean() - (1 - d_fake).log().mean()
    of_network = -(1 - d_real).log().mean() - d_fake.log().mean()
    expected = float(of_discriminator + 0.5 * of_network)
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-5)
    # 0.3 is below the mean 1/3 of the enlarged, and 0.7 above the mean 0.6 of the real ones.
    assert float(metrics["told_apart"]) == pytest.approx(4 / 6)


@pytest.mark.parametrize("relativistic", [False, True])
def test_the_discriminator_learns_to_tell_blurred_pictures_from_sharp_ones(
    relativistic: bool,
) -> None:
    torch.manual_seed(0)
    upscaler = nn.Upsample(scale_factor=4, mode="bicubic")
    objective = AdversarialObjective(upscaler, LossWeights(0, 0, 0), relativistic=relativistic)
    optimizer = torch.optim.Adam(objective.parameters(), lr=1e-3)
    told_apart, losses = [], []
    for _ in range(20):
        x_hr = torch.rand(4, 3, 16, 16)
        x = nn.functional.avg_pool2d(x_hr, 4)
        optimizer.zero_grad()
        loss, metrics = objective((x, x_hr))
        loss.backward()
        optimizer.step()
        told_apart.append(float(metrics["told_apart"]))
        losses.append(float(loss.detach()))
    assert told_apart[-3:] == [1, 1, 1]
    assert losses[-1] < 0.5 * losses[0]


def test_the_discriminator_takes_pictures_of_any_size() -> None:
    judge = Discriminator()
    assert judge(torch.zeros(2, 3, 40, 24)).shape == (2,)
    assert judge(torch.zeros(1, 3, 64, 64)).shape == (1,)
