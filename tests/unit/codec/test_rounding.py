from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from cdsrcodec.codec.loading import ROUNDING_REACH, EntropyModel, entropy_model
from cdsrcodec.codec.rounding import round_rate_aware
from cdsrcodec.entropy import MAX_SYMBOL
from cdsrcodec.models import context_prior
from cdsrcodec.models.cdsr1 import ROUNDING_RATE_WEIGHT
from cdsrcodec.models.registry import codec_named, former_entries_of

SCALE_RATIO = 256 / context_prior.SCALE_MIN


@pytest.fixture(scope="module")
def model() -> EntropyModel:
    return entropy_model(codec_named("cdsr1"))


@pytest.fixture(scope="module")
def elements() -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """Residuals of about the spread that their tables are for, some of them far out."""
    rng = np.random.default_rng(0)
    indexes = rng.integers(0, 64, 5000, np.uint8)
    scales = context_prior.SCALE_MIN * SCALE_RATIO ** (indexes / 63)
    residual = rng.normal(0, scales) + rng.choice([0.0, 0.5, 40.0], 5000, p=[0.6, 0.3, 0.1])
    return residual, indexes


def test_each_symbol_is_the_cheaper_of_the_nearest_and_the_next_towards_zero(
    model: EntropyModel, elements: tuple[NDArray[np.float64], NDArray[np.uint8]]
) -> None:
    residual, indexes = elements
    symbols = round_rate_aware(residual, indexes, model.rounding_offsets)
    nearest = np.rint(residual).astype(np.int32)
    lower = (nearest - np.sign(nearest)).astype(np.int32)

    def cost(candidates: NDArray[np.int32]) -> NDArray[np.float64]:
        bits = model.latent.bits(candidates, indexes)
        return (residual - candidates) ** 2 + ROUNDING_RATE_WEIGHT * bits

    best = np.where(cost(lower) < cost(nearest), lower, nearest)
    # Where both cost about the same, either is right.
    clear = np.abs(cost(lower) - cost(nearest)) > 1e-6
    within = np.abs(nearest) < ROUNDING_REACH
    assert (symbols == best)[within & (clear | (lower == nearest))].all()
    assert (symbols == nearest)[~within].all()
    assert 50 < (symbols != nearest).sum() < 2500
    assert 50 < (~within).sum() < 2500


def test_float_twin_for_training_rounds_alike_with_gaussian_tables(
    elements: tuple[NDArray[np.float64], NDArray[np.uint8]],
) -> None:
    gaussian = next(e for e in former_entries_of("cdsr1") if e.former_tag == "b27b82ab")
    model = entropy_model(gaussian)
    residual, indexes = elements
    inside = np.abs(residual) < 3 * context_prior.SCALE_MIN * SCALE_RATIO ** (indexes / 63)
    residual, indexes = residual[inside], indexes[inside]
    exponents = torch.from_numpy(indexes.astype(np.float64)) / 63
    scales = context_prior.SCALE_MIN * SCALE_RATIO**exponents
    twin = context_prior.round_rate_aware(torch.from_numpy(residual), scales).numpy()
    symbols = round_rate_aware(residual, indexes, model.rounding_offsets)
    assert len(symbols) > 2000
    assert (twin == symbols).mean() > 0.995


def test_rounding_is_symmetric_about_zero(
    model: EntropyModel, elements: tuple[NDArray[np.float64], NDArray[np.uint8]]
) -> None:
    residual, indexes = elements
    symbols = round_rate_aware(residual, indexes, model.rounding_offsets)
    mirrored = round_rate_aware(-residual, indexes, model.rounding_offsets)
    assert np.array_equal(mirrored, -symbols)


def test_residuals_beyond_the_largest_symbol_are_clipped(model: EntropyModel) -> None:
    residual = np.array([1e9, -1e9, 40_000.4, -32_767.4])
    symbols = round_rate_aware(residual, np.full(4, 63, np.uint8), model.rounding_offsets)
    assert symbols.dtype == np.int32
    assert symbols.tolist() == [MAX_SYMBOL, -MAX_SYMBOL, MAX_SYMBOL, -MAX_SYMBOL]


def test_no_residuals_give_no_symbols(model: EntropyModel) -> None:
    nothing = round_rate_aware(np.empty(0), np.empty(0, np.uint8), model.rounding_offsets)
    assert nothing.shape == (0,)
