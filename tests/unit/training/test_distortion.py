"""Losses and their weights, against those of CompressAI."""

from __future__ import annotations

import math

import pytest
import torch
from compressai.losses import RateDistortionLoss
from torch import Tensor

from cdsrcodec.models.registry import METRICS
from cdsrcodec.training.distortion import LMBDAS, MIDDLE, distortion


def pair() -> tuple[Tensor, Tensor]:
    """Waves with more and less noise: (x, x_hat), each (2, 3, 176, 176)."""
    generator = torch.Generator().manual_seed(0)
    rows, columns = torch.meshgrid(torch.arange(176.0), torch.arange(176.0), indexing="ij")
    x = (0.5 + 0.3 * torch.sin(rows / 5 + columns / 9)).expand(2, 3, 176, 176)
    noise = torch.randn(x.shape, generator=generator)
    return x, x + torch.tensor([0.02, 0.1])[:, None, None, None] * noise


@pytest.mark.parametrize("metric", METRICS)
def test_the_distortion_is_that_of_compressai(metric: str) -> None:
    x, x_hat = pair()
    criterion = RateDistortionLoss(lmbda=LMBDAS[metric][3], metric=metric)
    expected = criterion({"x_hat": x_hat, "likelihoods": {"y": torch.ones(1)}}, x)
    distances, _ = distortion(x_hat, x, metric)
    assert distances.shape == (2,)
    assert float(distances[1]) > 2 * float(distances[0]) > 0
    loss = LMBDAS[metric][3] * distances.mean()
    torch.testing.assert_close(loss, expected["loss"], rtol=1e-5, atol=0)


def test_the_log_gets_psnr_and_the_similarity_that_is_trained_for() -> None:
    x, x_hat = pair()
    distances, figures = distortion(x_hat, x, "mse")
    assert list(figures) == ["psnr_rgb_db"]
    psnrs_db = [10 * math.log10(255**2 / float(d)) for d in distances]
    assert float(figures["psnr_rgb_db"]) == pytest.approx(sum(psnrs_db) / 2)
    distances, similar = distortion(x_hat, x, "ms-ssim")
    assert list(similar) == ["psnr_rgb_db", "ms_ssim"]
    assert torch.equal(similar["psnr_rgb_db"], figures["psnr_rgb_db"])
    assert float(similar["ms_ssim"]) == pytest.approx(1 - float(distances.mean()))


@pytest.mark.parametrize("metric", METRICS)
def test_autocast_leaves_the_distortion_as_it_is(metric: str) -> None:
    x, x_hat = pair()
    expected, _ = distortion(x_hat, x, metric)
    with torch.autocast("cpu", torch.bfloat16):
        distances, _ = distortion(x_hat, x, metric)
    assert torch.equal(distances, expected)


def test_weights_of_both_metrics_rise_at_the_same_pace() -> None:
    assert LMBDAS.keys() == set(METRICS)
    for level in range(7):
        steps = [math.log(LMBDAS[metric][level + 1] / LMBDAS[metric][level]) for metric in METRICS]
        assert steps == pytest.approx([math.log(1.92)] * 2, abs=0.04)
    assert LMBDAS["mse"][MIDDLE] == 0.013
