"""Counted tables: from photographs, of any exported codec."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from cdsrcodec.codec import decode_symbols, encode_pixels
from cdsrcodec.codec.loading import tables_of
from cdsrcodec.entropy import TableSet
from cdsrcodec.entropy.tables import TOTAL
from cdsrcodec.errors import InputImageError, ModelError
from cdsrcodec.models.registry import CODECS, codec_named
from cdsrcodec.training import frequencies
from cdsrcodec.training.frequencies import count_frequencies

SAMPLES = Path(__file__).resolve().parents[3] / "sample_images"
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _few_photographs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frequencies, "PHOTOGRAPHS", 2)


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    """A codec as calibration leaves it: the shipped one, with Gaussians alone."""
    entry = codec_named("cdsr1")
    folder = tmp_path / "exported"
    folder.mkdir()
    tensors = load_file(entry.entropy_file)
    gaussians = {n: t for n, t in tensors.items() if not n.startswith("counted.")}
    save_file(gaussians, folder / "entropy.safetensors")
    for file in (entry.encoder_file, entry.decoder_file):
        (folder / file.name).symlink_to(file)
    return folder


def code(weights: Path, pixels: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch) -> bytes:
    monkeypatch.setitem(CODECS, "cdsr1", replace(CODECS["cdsr1"], folder=weights))
    return encode_pixels(pixels, quality=4.0, codec="cdsr1", device=CPU)


def test_files_with_counted_tables_are_smaller_and_decode(
    exported: Path, tmp_path: Path, photograph: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = tmp_path / "counted"
    counted.mkdir()
    for file in exported.iterdir():
        (counted / file.name).symlink_to(file)
    target = counted / "entropy.safetensors"
    target.unlink()
    cost = count_frequencies(exported, SAMPLES, target)
    assert 0.97 < cost.bits / cost.bits_before < 0.995
    before = code(exported, photograph, monkeypatch)
    data = code(counted, photograph, monkeypatch)
    assert 0.97 < len(data) / len(before) < 1
    height, width = decode_symbols(data).y_hat_gained.shape[2:]
    assert (height, width) == tuple(-(-side // 16) for side in photograph.shape[:2])


def test_all_but_the_tables_stays_and_the_gaussians_do(exported: Path, tmp_path: Path) -> None:
    target = tmp_path / "counted.safetensors"
    count_frequencies(exported, SAMPLES, target)
    before, after = load_file(exported / "entropy.safetensors"), load_file(target)
    assert set(after) - set(before) == {"counted.counts", "counted.lengths", "counted.lows"}
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert not torch.equal(after["counted.counts"], after["gaussian.counts"])


def test_tables_are_symmetric(exported: Path, tmp_path: Path) -> None:
    target = tmp_path / "counted.safetensors"
    count_frequencies(exported, SAMPLES, target)
    counted = tables_of(load_file(target), "counted")
    for index in range(len(counted)):
        symbols = counted.table(index)[:-1]
        assert np.abs(symbols - symbols[::-1]).max() <= len(symbols)  # the rest of the sum


def test_counts_outweigh_the_gaussian_and_signs_share() -> None:
    start = TableSet.from_probabilities([np.array([0.2, 0.5, 0.2, 0.1])] * 2, [-1, -1])
    counts = np.array([0, 8_000_000, 4_000_000, 0, 0, 0, 0, 0])
    mixed = frequencies._mix(start, counts)
    assert mixed.table(0) / TOTAL == pytest.approx([1 / 6, 2 / 3, 1 / 6, 0], abs=1e-4)
    assert mixed.table(0)[3] / TOTAL > 5e-6
    assert mixed.table(1) / TOTAL == pytest.approx([0.2, 0.5, 0.2, 0.1], abs=1e-6)


def test_photographs_must_be_large_enough(exported: Path, tmp_path: Path) -> None:
    target = tmp_path / "counted.safetensors"
    with pytest.raises(InputImageError, match="no image with both sides of at least 256 px"):
        count_frequencies(exported, tmp_path, target)
    assert not target.exists()


def test_a_folder_without_weights_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"entropy\.safetensors"):
        count_frequencies(tmp_path, SAMPLES, tmp_path / "counted.safetensors")
