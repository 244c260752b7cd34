"""What is shipped of a 4x network of pixels answers as what was trained."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from cdsrcodec.sr.enlargers import NETWORKS
from cdsrcodec.training.folding import folded, trainable


@pytest.mark.parametrize("network", NETWORKS)
@torch.no_grad()
def test_a_folded_network_is_plain_and_answers_as_the_trained_one(network: str) -> None:
    torch.manual_seed(0)
    trained = trainable(network)
    for parameter in trained.parameters():
        parameter.add_(torch.randn_like(parameter), alpha=0.05)
    x = torch.rand(2, 3, 8, 9)
    for _ in range(3):  # statistics of a batch normalisation
        trained.train()(x)
    expected = trained.eval()(x)
    plain = folded(trained)
    assert plain.state_dict().keys() == NETWORKS[network]().state_dict().keys()
    assert (expected - x.mean()).abs().max() > 0.1
    torch.testing.assert_close(plain(x), expected, atol=1e-4, rtol=1e-4)


def test_folding_leaves_the_trained_network_alone() -> None:
    trained = trainable("srgan")
    folded(trained)
    assert any(isinstance(module, nn.BatchNorm2d) for module in trained.modules())
    assert trained.training


def test_wdsr_learns_the_lengths_of_its_weights_apart() -> None:
    names = [name for name, _ in trainable("wdsr").named_parameters()]
    lengths = [name for name in names if name.endswith("parametrizations.weight.original0")]
    assert len(lengths) == 1 + 16 * 3
    assert "tail.weight" in names
    assert "skip.weight" in names
