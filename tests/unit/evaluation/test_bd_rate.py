from __future__ import annotations

import math

import numpy as np
import pytest

from cdsrcodec.evaluation.bd_rate import (
    Curve,
    bd_psnr_db,
    bd_rate_percent,
    common_range_db,
    make_curve,
)

# Means over the 24 Kodak images as CompressAI publishes them (results/image/kodak, BSD 3-Clause
# Clear), MSE-trained, qualities 1-8.
HYPERPRIOR = make_curve(
    [0.13129, 0.20889, 0.31986, 0.47836, 0.66868, 0.93883, 1.25917, 1.66022],
    [27.5815, 29.1967, 30.9722, 32.8382, 34.5262, 36.7434, 38.5839, 40.5569],
)
MEAN_SCALE = make_curve(
    [0.12392, 0.19798, 0.30724, 0.46061, 0.66167, 0.9144, 1.23421, 1.61909],
    [27.6995, 29.3588, 31.1289, 32.9507, 34.9683, 36.9111, 38.8375, 40.6333],
)


def scaled(curve: Curve, factor: float) -> Curve:
    return Curve(curve.bpp * factor, curve.psnr_db)


@pytest.mark.parametrize("method", ["pchip", "akima", "cubic"])
@pytest.mark.parametrize(("factor", "percent"), [(0.9, -10.0), (1.0, 0.0), (1.25, 25.0)])
def test_a_rate_factor_is_the_bd_rate(factor: float, percent: float, method: str) -> None:
    test = scaled(HYPERPRIOR, factor)
    assert bd_rate_percent(HYPERPRIOR, test, method=method) == pytest.approx(percent, abs=1e-9)


def test_a_psnr_offset_is_the_bd_psnr() -> None:
    test = Curve(HYPERPRIOR.bpp, HYPERPRIOR.psnr_db + 0.5)
    assert bd_psnr_db(HYPERPRIOR, test) == pytest.approx(0.5)


def test_the_published_mean_scale_hyperprior_saves_6_8_percent() -> None:
    assert bd_rate_percent(HYPERPRIOR, MEAN_SCALE) == pytest.approx(-6.83, abs=0.005)
    assert bd_psnr_db(HYPERPRIOR, MEAN_SCALE) == pytest.approx(0.360, abs=0.0005)


def test_curves_of_different_length_are_compared_over_what_they_share() -> None:
    upper = Curve(HYPERPRIOR.bpp[4:] * 0.8, HYPERPRIOR.psnr_db[4:])
    assert common_range_db(HYPERPRIOR, upper) == (34.5262, 40.5569)
    assert bd_rate_percent(HYPERPRIOR, upper) == pytest.approx(-20, abs=0.5)


def test_a_curve_is_sorted_by_rate() -> None:
    curve = make_curve([0.5, 0.1, 0.3], [33, 28, 31])
    np.testing.assert_array_equal(curve.bpp, [0.1, 0.3, 0.5])
    np.testing.assert_array_equal(curve.psnr_db, [28, 31, 33])


def test_a_curve_needs_a_psnr_for_every_rate() -> None:
    with pytest.raises(ValueError, match="inhomogeneous"):
        make_curve([0.1, 0.2], [30])


@pytest.mark.parametrize(
    ("method", "percent", "psnr_db"),
    [("akima", -4.4252, 0.11941), ("pchip", -4.4175, 0.11969), ("cubic", -4.4205, 0.12041)],
)
def test_the_example_of_the_bjontegaard_package_gives_its_deltas(
    method: str, percent: float, psnr_db: float
) -> None:
    anchor = make_curve([9487.76, 4593.60, 2486.44, 1358.24], [40.037, 38.615, 36.845, 34.851])
    test = make_curve([9787.80, 4469.00, 2451.52, 1356.24], [40.121, 38.651, 36.970, 34.987])
    assert bd_rate_percent(anchor, test, method=method) == pytest.approx(percent, abs=5e-5)
    assert bd_psnr_db(anchor, test, method=method) == pytest.approx(psnr_db, abs=5e-6)


@pytest.mark.parametrize(
    ("curve", "reason"),
    [
        (make_curve([0.5], [33]), "two points"),
        (make_curve([0.0, 0.5], [30, 33]), "not positive"),
        (make_curve([0.2, 0.5], [30, math.inf]), "without end"),
        (make_curve([0.2, 0.5], [33, 30]), "does not rise"),
        (make_curve([0.5, 0.5], [30, 33]), "does not rise"),
    ],
)
def test_a_curve_without_a_delta_is_refused(curve: Curve, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        bd_rate_percent(HYPERPRIOR, curve)
    with pytest.raises(ValueError, match=reason):
        bd_psnr_db(curve, HYPERPRIOR)


def test_curves_that_share_no_psnr_have_no_bd_rate() -> None:
    high = make_curve([2, 3, 4], [45, 46, 47])
    with pytest.raises(ValueError, match="no PSNR in common"):
        bd_rate_percent(HYPERPRIOR, high)


def test_curves_that_share_no_rate_have_no_bd_psnr() -> None:
    high = make_curve([2, 3, 4], [35, 36, 37])
    with pytest.raises(ValueError, match="no rate in common"):
        bd_psnr_db(HYPERPRIOR, high)
