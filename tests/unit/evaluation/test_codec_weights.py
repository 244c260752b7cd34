"""What weights of a codec are compared by while it is trained."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from cdsrcodec import decode, encode
from cdsrcodec.evaluation import codec_weights
from cdsrcodec.evaluation.metrics import psnr_rgb_db
from cdsrcodec.models.registry import CDSR1
from cdsrcodec.weights import WEIGHTS_FOLDER

SAMPLES = Path(__file__).parents[3] / "sample_images"
START = WEIGHTS_FOLDER / CDSR1
QUALITIES = ["--qualities", "2", "6"]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of one picture of 256x256 px."""
    folder = tmp_path / "photos"
    folder.mkdir()
    with Image.open(SAMPLES / "coffee.png") as picture:
        picture.convert("RGB").crop((100, 30, 356, 286)).save(folder / "photo.png")
    return folder


@pytest.fixture
def worse(tmp_path: Path) -> Path:
    """A folder of exported weights whose native decoder is a little off."""
    folder = tmp_path / "worse"
    folder.mkdir()
    for name in ("entropy", "encoder"):
        shutil.copy(START / f"{name}.safetensors", folder)
    tensors = load_file(START / "decoder.safetensors")
    noise = torch.Generator().manual_seed(0)
    for name, tensor in tensors.items():
        if tensor.ndim == 4:
            change = torch.randn(tensor.shape, generator=noise) * 0.02 * tensor.float().std()
            tensors[name] = (tensor + change).half()
    save_file(tensors, folder / "decoder.safetensors")
    return folder


def test_figures_are_those_of_files_and_a_worse_decoder_costs_rate(
    photos: Path, worse: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert codec_weights.main([str(photos), str(START), str(worse), *QUALITIES]) == 0
    header, *lines = capsys.readouterr().out.splitlines()
    assert header.split("\t") == list(codec_weights.COLUMNS)
    start, other = [line.split("\t") for line in lines[:2]], [s.split("\t") for s in lines[2:4]]
    with Image.open(photos / "photo.png") as picture:
        pixels = np.asarray(picture)
        for quality, (folder, told, bpp, psnr_db, of_start_db) in zip((2, 6), start, strict=True):
            data = encode(picture, quality=quality)
            assert (folder, told) == (str(START), str(quality))
            assert float(bpp) == pytest.approx(8 * len(data) / 256**2, abs=1e-4)
            expected_db = psnr_rgb_db(pixels, np.asarray(decode(data)))
            assert float(psnr_db) == float(of_start_db) == pytest.approx(expected_db, abs=0.01)
    for (_, _, bpp, psnr_db, _), (_, _, other_bpp, other_db, of_start_db) in zip(
        start, other, strict=True
    ):
        assert bpp == other_bpp
        assert float(other_db) < float(psnr_db)
        assert other_db == of_start_db
    folder, what, bd_rate = lines[4].split("\t")
    assert (folder, what) == (str(worse), "BD-rate against START")
    assert float(bd_rate.removesuffix(" %")) > 0.05


def test_what_cannot_be_compared_ends_in_one_line(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert codec_weights.main([str(photos), str(START), str(tmp_path)]) == 11
    assert capsys.readouterr().err.startswith(f"error: {tmp_path}: no weights of a codec")
    arguments = [str(photos), str(START), str(START), "--qualities", "0.5"]
    assert codec_weights.main(arguments) == 5
    assert capsys.readouterr().err.startswith(
        "error: cdsr1: quality must be 1 to 8, not 0.5. hint: "
    )
