from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from cdsrcodec.codec.loading import entropy_model
from cdsrcodec.layers.integer import ONE
from cdsrcodec.models.interface import hyper_size
from cdsrcodec.models.registry import CodecEntry
from cdsrcodec.models.scale_prior import ScalePrior

if TYPE_CHECKING:
    from compressai.models import ScaleHyperprior


@pytest.fixture
def tensors(hyperprior: CodecEntry) -> dict[str, Tensor]:
    return load_file(hyperprior.entropy_file)


@pytest.fixture
def prior(tensors: dict[str, Tensor]) -> ScalePrior:
    return ScalePrior(tensors)


def random_z(height: int, width: int) -> Tensor:
    torch.manual_seed(1)
    return torch.randint(-8, 9, (1, 128, height, width), dtype=torch.int32)


def test_the_integers_choose_the_tables_that_the_floats_choose(
    prior: ScalePrior, scale_hyperprior: ScaleHyperprior
) -> None:
    z_symbols = random_z(3, 4)
    z_hat = z_symbols + scale_hyperprior.entropy_bottleneck.quantiles[:, :, 1][None, :, :, None]
    with torch.no_grad():
        scales = scale_hyperprior.h_s(z_hat)
        expected = scale_hyperprior.gaussian_conditional.build_indexes(scales)
    indexes = prior.table_indexes(z_symbols, 12, 16).int()
    assert torch.bincount(indexes.flatten()).count_nonzero() > 5
    assert (indexes - expected).abs().max() <= 1
    assert (indexes != expected).double().mean() < 0.05


def test_a_scale_takes_the_narrowest_table_that_is_wide_enough(prior: ScalePrior) -> None:
    bounds = prior.scale_bounds
    at_bounds = torch.bucketize(bounds, bounds)
    assert torch.equal(at_bounds, torch.arange(63))
    assert torch.equal(torch.bucketize(bounds + 1, bounds), torch.arange(1, 64))
    assert bounds[0] == int(0.11 * ONE)


def test_the_last_rows_and_columns_of_a_latent_are_cut_off(prior: ScalePrior) -> None:
    z_symbols = random_z(2, 2)
    whole = prior.table_indexes(z_symbols, 8, 8)
    assert torch.equal(prior.table_indexes(z_symbols, 5, 7), whole[..., :5, :7])


@pytest.mark.parametrize("size", [(8, 8), (9, 17), (21, 10), (1, 30)])
def test_tables_in_tiles_are_exactly_those_in_one_piece(
    prior: ScalePrior, size: tuple[int, int]
) -> None:
    z_symbols = random_z(*hyper_size(*size))
    whole = prior.table_indexes(z_symbols, *size)
    assert torch.equal(prior.table_indexes(z_symbols, *size, core=8), whole)


def test_extreme_symbols_keep_tables_in_range(prior: ScalePrior) -> None:
    for symbol in (-32767, 32767):
        z_symbols = torch.full((1, 128, 1, 1), symbol, dtype=torch.int32)
        assert prior.table_indexes(z_symbols, 4, 4).max() < 64


def test_a_walk_has_one_step_without_means_and_gives_its_symbols_back(
    hyperprior: CodecEntry,
) -> None:
    prior = entropy_model(hyperprior).prior
    assert prior.steps == 1
    walk = prior.walk(random_z(1, 2), 3, 5)
    prediction = walk.predict(0)
    assert prediction.indexes.shape == (192 * 3 * 5,)
    assert not prediction.means.any()
    symbols = torch.arange(len(prediction.indexes), dtype=torch.int32)
    walk.fill(0, prediction, symbols)
    y_hat = walk.y_hat_gained()
    assert y_hat.shape == (1, 192, 3, 5)
    assert torch.equal(walk.gather(0, y_hat), symbols.float())


def test_a_prior_that_could_round_is_refused(tensors: dict[str, Tensor]) -> None:
    inexact = tensors | {"h_s.2.bias": tensors["h_s.2.bias"] + 2**53}
    with pytest.raises(ValueError, match="not exact in float64"):
        ScalePrior(inexact)
