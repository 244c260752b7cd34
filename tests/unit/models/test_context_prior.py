from __future__ import annotations

import math

import pytest
import torch

from cdsrcodec.models.context_prior import (
    STEPS,
    ContextPrior,
    HyperSynthesis,
    crop_like,
    gaussian_bits,
    round_rate_aware,
    step_masks,
    to_scales,
)


@pytest.mark.parametrize("size", [(1, 1), (1, 6), (5, 1), (4, 4), (7, 3)])
def test_every_element_is_coded_in_exactly_one_step(size: tuple[int, int]) -> None:
    masks = step_masks(224, *size)
    assert masks.shape == (STEPS, 224, *size)
    assert masks.dtype == torch.bool
    assert (masks.sum(0) == 1).all()


def test_each_step_takes_another_quarter_of_a_cell_in_each_channel_group() -> None:
    # Row by row the step that codes a position of a 2x2 cell, for the four groups of 1 channel.
    steps = step_masks(4, 2, 2).int().argmax(0).tolist()
    assert steps == [
        [[0, 2], [3, 1]],
        [[3, 1], [2, 0]],
        [[2, 0], [1, 3]],
        [[1, 3], [0, 2]],
    ]


def test_what_a_step_knows_comes_from_the_steps_before_it() -> None:
    torch.manual_seed(0)
    prior = ContextPrior()
    features, y = torch.randn(1, 224, 4, 4), 3 * torch.randn(1, 224, 4, 4)
    masks = step_masks(224, 4, 4)[:, None]
    with torch.no_grad():
        out = prior(features, y)
        for step, mask in enumerate(masks):
            changed = prior(features, torch.where(mask, y + 5, y))
            earlier = masks[: step + 1].any(0)
            assert torch.equal(changed.means[earlier], out.means[earlier])
            assert torch.equal(changed.scales[earlier], out.scales[earlier])
            later = masks[step + 1 :].any(0)
            assert later.sum() == 0 or not torch.equal(changed.means[later], out.means[later])


def test_what_a_decoder_knows_is_means_plus_whole_residuals() -> None:
    torch.manual_seed(1)
    prior = ContextPrior()
    with torch.no_grad():
        y = 4 * torch.randn(1, 224, 3, 5)
        out = prior(torch.randn(1, 224, 3, 5), y)
    residual = out.y_hat_gained - out.means
    assert (residual - residual.round()).abs().max() < 1e-5
    nearest = (y - out.means).round()
    lower = nearest - nearest.sign()
    symbols = residual.round()
    assert ((symbols == nearest) | (symbols == lower)).all()
    assert (symbols == nearest).float().mean() > 0.9


def test_bits_are_those_of_the_gaussian_over_the_unit_bin() -> None:
    def phi(x: float) -> float:
        return 0.5 * math.erfc(-x / math.sqrt(2))

    cases = [(0.0, 0.11), (0.0, 1.0), (1.0, 1.0), (-2.0, 1.5), (7.0, 5.0)]
    expected = [-math.log2(phi((r + 0.5) / s) - phi((r - 0.5) / s)) for r, s in cases]
    residual, scales = torch.tensor(cases).T
    assert gaussian_bits(residual, scales).tolist() == pytest.approx(expected, abs=1e-4)


def test_bits_of_the_impossible_are_bounded() -> None:
    bits = gaussian_bits(torch.tensor([1000.0]), torch.tensor([0.11]))
    assert bits.item() == pytest.approx(-math.log2(1e-9), abs=1e-3)


def test_rate_aware_rounding_goes_to_zero_only_where_bits_are_dear() -> None:
    residual = torch.tensor([0.52, 0.52, -0.52, 0.95, -1.6, 0.3])
    scales = torch.tensor([0.11, 50.0, 0.11, 0.5, 50.0, 0.11])
    assert round_rate_aware(residual, scales).tolist() == [0, 1, 0, 1, -2, 0]


def test_rounding_passes_gradients_straight_through() -> None:
    residual = torch.tensor([0.4, 1.6], requires_grad=True)
    scales = torch.ones(2, requires_grad=True)
    symbols = round_rate_aware(residual, scales)
    assert symbols.tolist() == [0, 2]
    gradients = torch.autograd.grad(symbols.sum(), (residual, scales), allow_unused=True)
    assert gradients[0].tolist() == [1, 1]
    assert gradients[1] is None


def test_scales_are_bounded() -> None:
    scales = to_scales(torch.tensor([-100.0, 0.0, 100.0]))
    assert scales.tolist() == pytest.approx([0.11, 1, math.exp(8)])


def test_features_cover_the_latent_and_are_cropped_to_it() -> None:
    y = torch.zeros(1, 224, 7, 5)
    features = HyperSynthesis()(torch.randn(1, 128, 2, 2))
    assert features.shape == (1, 224, 8, 8)
    assert torch.equal(crop_like(features, y), features[..., :7, :5])
