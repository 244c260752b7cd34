"""The start at principal components: what a linear transform can do, the networks do at once."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from cdsrcodec.training.principal import start_at_principal_components

SIDE_PX = 32


def layers(*channels: int) -> tuple[list[nn.Conv2d], list[nn.ConvTranspose2d]]:
    """Both transforms of these channels, from the picture down."""
    pairs = list(pairwise(channels))
    down = [nn.Conv2d(a, b, 5, stride=2, padding=2) for a, b in pairs]
    up = [nn.ConvTranspose2d(b, a, 5, stride=2, padding=2, output_padding=1) for a, b in pairs]
    return down, up


@torch.no_grad()
def there_and_back(down: list[nn.Conv2d], up: list[nn.ConvTranspose2d], x: Tensor) -> Tensor:
    for analysis in down:
        x = analysis(x)
    for synthesis in reversed(up):
        x = synthesis(x)
    return x


@pytest.fixture
def patches() -> Tensor:
    """(8, 3, 32, 32), smoother than noise, so that its components differ in variance."""
    noise = torch.rand(8, 3, SIDE_PX, SIDE_PX, generator=torch.Generator().manual_seed(0))
    return noise.cumsum(-1).cumsum(-2) / 300


@pytest.mark.parametrize("channels", [(3, 12), (3, 16, 48), (3, 20, 50, 200)])
def test_with_channels_for_all_components_nothing_is_lost(
    patches: Tensor, channels: tuple[int, ...]
) -> None:
    down, up = layers(*channels)
    start_at_principal_components(down, up, patches)
    # Zero padding is not the mean, which the first layer takes off.
    inner = (..., slice(8, -8), slice(8, -8))
    x_hat = there_and_back(down, up, patches)
    torch.testing.assert_close(x_hat[inner], patches[inner], atol=2e-5, rtol=0)


def test_with_fewer_the_error_is_the_variance_of_the_others(patches: Tensor) -> None:
    down, up = layers(3, 5)
    start_at_principal_components(down, up, patches)
    centred = patches - patches.mean((0, 2, 3), keepdim=True)
    blocks = nn.functional.pixel_unshuffle(centred, 2).transpose(0, 1).flatten(1)
    variances = torch.linalg.eigvalsh(blocks @ blocks.mT / blocks.shape[1])
    error = (there_and_back(down, up, patches) - patches).square().mean()
    torch.testing.assert_close(error, variances[:-5].sum() / 12, rtol=1e-3, atol=0)


def test_hidden_features_have_a_standard_deviation_of_at_most_one(patches: Tensor) -> None:
    down, up = layers(3, 12, 48)
    start_at_principal_components(down, up, 10 * patches)
    with torch.no_grad():
        assert down[0](10 * patches)[..., 2:-2, 2:-2].square().mean((0, 2, 3)).max() < 1.1


def test_channels_without_a_component_stay_random_and_disturb_nothing(patches: Tensor) -> None:
    down, up = layers(3, 16, 48)
    random_rows = down[0].weight[12:].detach().clone()
    start_at_principal_components(down, up, patches)
    assert (down[0].weight[12:] == random_rows).all()
    assert (down[1].weight[:, 12:] == 0).all()
    assert (up[0].weight[12:] == 0).all()
    assert up[1].weight[:, 12:].abs().min() > 0
