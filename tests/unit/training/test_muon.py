"""Muon: the orthogonalisation, and steps of a known size."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from cdsrcodec.training.muon import Muon, orthogonalised


@pytest.mark.parametrize("shape", [(8, 40), (40, 8), (16, 16), (3, 8, 40)])
def test_singular_values_come_near_one_and_the_vectors_stay(shape: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(0)
    matrices = torch.randn(shape, generator=generator) * 1e-3
    u, values, vh = torch.linalg.svd(matrices, full_matrices=False)
    result = orthogonalised(matrices)
    rotated = u.mT @ result @ vh.mT
    diagonal = rotated.diagonal(dim1=-2, dim2=-1)
    # Only values far below the largest one stay short of 0.6.
    large = values > 0.05 * values.amax(-1, keepdim=True)
    assert ((diagonal > 0.6) & (diagonal < 1.3))[large].all()
    assert (rotated - torch.diag_embed(diagonal)).abs().max() < 1e-4


def test_a_gradient_of_zero_moves_nothing() -> None:
    assert orthogonalised(torch.zeros(4, 6)).abs().max() == 0


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_a_step_has_its_size_whatever_the_gradient(scale: float) -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(16, 8, 3)
    before = layer.weight.detach().clone()
    optimizer = Muon([layer.weight], lr=0.01)
    layer.weight.grad = scale * torch.randn_like(layer.weight)
    optimizer.step()
    moved = layer.weight.detach() - before
    # Downhill, with an RMS of 0.2 * lr times singular values of 0.7 to 1.2.
    assert float((moved * layer.weight.grad).sum()) < 0
    assert float(moved.square().mean().sqrt()) == pytest.approx(0.002, rel=0.25)


def test_momentum_outlives_a_gradient() -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(4, 4, 3)
    optimizer = Muon([layer.weight], lr=0.01)
    layer.weight.grad = torch.randn_like(layer.weight)
    optimizer.step()
    before = layer.weight.detach().clone()
    layer.weight.grad = torch.zeros_like(layer.weight)
    optimizer.step()
    assert not torch.equal(layer.weight, before)
    layer.weight.grad = None
    before = layer.weight.detach().clone()
    optimizer.step()
    assert torch.equal(layer.weight, before)


def test_it_trains_a_convolution() -> None:
    torch.manual_seed(0)
    target, layer = nn.Conv2d(4, 8, 3), nn.Conv2d(4, 8, 3)
    optimizer = Muon([layer.weight], lr=0.05)
    losses = []
    for _ in range(60):
        x = torch.randn(4, 4, 6, 6)
        loss = (layer(x) - target(x)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.3 * losses[0]
