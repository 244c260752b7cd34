"""Entropy parts for float32: from photographs, of any exported codec."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor

from cdsrcodec.codec import encode_pixels
from cdsrcodec.errors import InputImageError, ModelError
from cdsrcodec.layers.integer import FLOAT32_LIMIT
from cdsrcodec.models.float_twin import float_state
from cdsrcodec.models.integer_layers import GRIDS, INPUTS, stored_grid
from cdsrcodec.models.registry import CODECS, former_entries_of
from cdsrcodec.training import calibration
from cdsrcodec.training.calibration import calibrate, rounded

SAMPLES = Path(__file__).resolve().parents[3] / "sample_images"
PARTS = ("weight", "bias", "shift", "drift")


@pytest.fixture(autouse=True)
def _few_photographs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "PHOTOGRAPHS", 2)


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    """A codec as export leaves it: the shipped one, with its entropy part of 0.4.0."""
    former = former_entries_of("cdsr1")[0]
    folder = tmp_path / "exported"
    folder.mkdir()
    shutil.copy(former.entropy_file, folder / "entropy.safetensors")
    for file in (former.encoder_file, former.decoder_file):
        (folder / file.name).symlink_to(file)
    return folder


def is_of_layers(name: str) -> bool:
    return name.startswith("grid.") or name.rpartition(".")[2] in PARTS


def coded_bytes(weights: Path, pixels: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setitem(CODECS, "cdsr1", replace(CODECS["cdsr1"], folder=weights))
    cpu = torch.device("cpu")
    return len(encode_pixels(pixels, quality=4.0, codec="cdsr1", device=cpu))


def test_a_calibrated_codec_codes_as_well_in_float32(
    exported: Path, tmp_path: Path, photograph: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "calibrated.safetensors"
    bounds = calibrate(exported, SAMPLES, target)
    assert {name for name, bound in bounds.items() if bound < FLOAT32_LIMIT} == set(INPUTS)
    before, after = load_file(exported / "entropy.safetensors"), load_file(target)
    kept = [name for name in before if not is_of_layers(name)]
    assert {name for name in after if not is_of_layers(name)} == set(kept)
    assert all(torch.equal(after[name], before[name]) for name in kept)

    sizes = [coded_bytes(exported, photograph, monkeypatch)]
    calibrated = tmp_path / "calibrated"
    shutil.copytree(exported, calibrated, symlinks=True)
    shutil.copy(target, calibrated / "entropy.safetensors")
    sizes.append(coded_bytes(calibrated, photograph, monkeypatch))
    assert sizes[1] == pytest.approx(sizes[0], rel=0.01)


def test_the_floats_behind_the_integers_stay_as_they_are(exported: Path, tmp_path: Path) -> None:
    target = tmp_path / "calibrated.safetensors"
    calibrate(exported, SAMPLES, target)
    before = float_state(load_file(exported / "entropy.safetensors"))
    after = float_state(load_file(target))
    for name, tensor in before.items():
        error = (after[name] - tensor).norm() / tensor.norm()
        assert error < (0.2 if name.endswith("weight") else 0.001), name


def test_every_channel_has_room_and_bits(exported: Path, tmp_path: Path) -> None:
    target = tmp_path / "calibrated.safetensors"
    calibrate(exported, SAMPLES, target)
    tensors = load_file(target)
    for name, channels in GRIDS.items():
        bits, limit = stored_grid(tensors, name)
        assert (len(bits), len(limit)) == (channels, channels)
        assert ((bits >= 0) & (bits <= 12)).all()
        assert ((limit >= 1) & (limit <= 1 << 20)).all()


def test_the_same_photographs_give_the_same_file(exported: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    assert calibrate(exported, SAMPLES, first) == calibrate(exported, SAMPLES, second)
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize(
    ("value", "bits", "expected"),
    [(0.3, 2, 0.25), (0.4, 2, 0.5), (-0.05, 2, 0.0), (-0.08, 3, -0.125), (-0.2, 2, -0.25)],
)
def test_rounding_is_that_of_the_integer_layers(value: float, bits: int, expected: float) -> None:
    x = torch.tensor([value], dtype=torch.float64)
    before: Tensor = torch.where(x < 0, 8 * x, x)
    integer = int(torch.floor(before * 2**bits + 0.5))
    after = integer if integer >= 0 else (integer + 4) >> 3
    assert rounded(x, bits).item() == after / 2**bits == expected


def test_folders_without_weights_or_pictures_are_refused(exported: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ModelError, match=r"entropy\.safetensors: the weights cannot be read"):
        calibrate(empty, SAMPLES, tmp_path / "x")
    with pytest.raises(InputImageError, match="no image with both sides of at least 256 px"):
        calibrate(exported, empty, tmp_path / "x")
    assert not (tmp_path / "x").exists()
