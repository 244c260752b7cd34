from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cdsrcodec.evaluation.metrics import luma, ms_ssim_rgb, psnr_rgb_db, psnr_y_db, ssimulacra2

Picture = NDArray[np.uint8]


def flat(value: int, height_px: int = 8, width_px: int = 10) -> Picture:
    return np.full((height_px, width_px, 3), value, np.uint8)


def test_the_metrics_of_a_photograph_are_those_of_reference_implementations() -> None:
    sample = Path(__file__).resolve().parents[3] / "sample_images" / "cat.png"
    with Image.open(sample) as image:
        x = np.asarray(image.convert("RGB"))[40:240, 100:300]
    x_hat = (x // 16 * 16 + 8).astype(np.uint8)
    # scikit-image 0.26: metrics.peak_signal_noise_ratio of RGB and of color.rgb2ycbcr's Y,
    # data_range 255; pytorch-msssim 1.0: ms_ssim of each channel alone, their mean.
    assert psnr_rgb_db(x, x_hat) == pytest.approx(34.84553468904195)
    assert psnr_rgb_db(x, x_hat, shave_px=4) == pytest.approx(34.843055826748845)
    assert psnr_y_db(x, x_hat) == pytest.approx(39.665434101059375)
    assert psnr_y_db(x, x_hat, shave_px=4) == pytest.approx(39.655011474521466)
    channels = [0.990199863910675, 0.9908299446105957, 0.9905989766120911]
    assert ms_ssim_rgb(x, x_hat) == pytest.approx(sum(channels) / 3, abs=1e-6)


def test_psnr_of_an_error_of_one_step_everywhere_is_48_13_db() -> None:
    assert psnr_rgb_db(flat(100), flat(101)) == pytest.approx(48.130804, abs=1e-6)


def test_psnr_averages_the_error_over_all_three_channels() -> None:
    x_hat = flat(100)
    x_hat[..., 0] = 130  # squared error 900 in one channel of three: mean 300
    assert psnr_rgb_db(flat(100), x_hat) == pytest.approx(10 * math.log10(255**2 / 300))


def test_psnr_does_not_wrap_around_at_eight_bits() -> None:
    assert psnr_rgb_db(flat(255), flat(0)) == pytest.approx(0.0)


@pytest.mark.parametrize("psnr", [psnr_rgb_db, psnr_y_db])
def test_psnr_of_identical_pictures_is_infinite(psnr: Callable[[Picture, Picture], float]) -> None:
    assert psnr(flat(7), flat(7)) == math.inf


@pytest.mark.parametrize("psnr", [psnr_rgb_db, psnr_y_db])
def test_shaving_leaves_out_the_border_and_nothing_else(psnr: Callable[..., float]) -> None:
    x_hat = flat(100)
    x_hat[:2], x_hat[-2:], x_hat[:, :2], x_hat[:, -2:] = 0, 0, 0, 0
    assert psnr(flat(100), x_hat, shave_px=2) == math.inf
    assert psnr(flat(100), x_hat, shave_px=1) < 20


def test_luma_has_the_studio_range() -> None:
    assert luma(flat(0))[0, 0] == pytest.approx(16)
    assert luma(flat(255))[0, 0] == pytest.approx(235)


def test_luma_weighs_green_most() -> None:
    primaries = (255 * np.eye(3)[None]).astype(np.uint8)
    assert luma(primaries)[0] == pytest.approx([16 + 65.481, 16 + 128.553, 16 + 24.966])


def test_psnr_y_of_a_grey_error_is_that_of_the_shorter_luma_range() -> None:
    # A grey step of 1 moves the luma by 219/255.
    expected_db = 20 * math.log10(255 / (219 / 255))
    assert psnr_y_db(flat(100), flat(101)) == pytest.approx(expected_db)


def test_ms_ssim_of_identical_pictures_is_one(picture: Callable[..., Picture]) -> None:
    x = picture(161, 170)
    assert ms_ssim_rgb(x, x) == pytest.approx(1.0, abs=1e-6)


def test_ms_ssim_falls_with_the_error(picture: Callable[..., Picture]) -> None:
    x = picture(161, 170)
    rng = np.random.default_rng(1)
    slight, strong = (
        (x + rng.normal(0, sigma, x.shape)).clip(0, 255).astype(np.uint8) for sigma in (3, 30)
    )
    assert 1 > ms_ssim_rgb(x, slight) > ms_ssim_rgb(x, strong) > 0


def test_ssimulacra2_is_100_for_identical_pictures_and_falls_with_the_error(
    picture: Callable[..., Picture],
) -> None:
    pytest.importorskip("ssimulacra2")
    x = picture(48, 64)
    rng = np.random.default_rng(1)
    slight, strong = (
        (x + rng.normal(0, sigma, x.shape)).clip(0, 255).astype(np.uint8) for sigma in (2, 20)
    )
    assert ssimulacra2(x, x) == pytest.approx(100)
    assert 100 > ssimulacra2(x, slight) > ssimulacra2(x, strong)
    with pytest.raises(ValueError, match="two RGB pictures of one size"):
        ssimulacra2(x, x[1:])


@pytest.mark.parametrize("metric", [psnr_rgb_db, psnr_y_db, ms_ssim_rgb])
def test_pictures_of_two_sizes_are_refused(metric: Callable[[Picture, Picture], float]) -> None:
    with pytest.raises(ValueError, match="two RGB pictures of one size"):
        metric(flat(0), flat(0, width_px=11))


def test_a_grey_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="two RGB pictures of one size"):
        psnr_rgb_db(flat(0)[..., 0], flat(0)[..., 0])


@pytest.mark.parametrize("shave_px", [-1, 4])
def test_shaving_that_leaves_nothing_is_refused(shave_px: int) -> None:
    with pytest.raises(ValueError, match="leaves nothing"):
        psnr_rgb_db(flat(0), flat(0), shave_px=shave_px)


def test_ms_ssim_refuses_pictures_too_small_for_five_scales() -> None:
    with pytest.raises(ValueError, match="at least 161 px"):
        ms_ssim_rgb(flat(0, 160, 400), flat(0, 160, 400))
