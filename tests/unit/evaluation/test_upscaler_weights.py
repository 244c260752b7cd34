"""What weights of 4x networks are compared by while they are trained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from cdsrcodec.evaluation import upscaler_weights
from cdsrcodec.evaluation.metrics import psnr_rgb_db
from cdsrcodec.imageio.resampling import downscale, interpolate
from cdsrcodec.models.registry import CDSR1
from cdsrcodec.sr.edsr import Edsr
from cdsrcodec.weights import WEIGHTS_FOLDER

LATENT = WEIGHTS_FOLDER / CDSR1 / "latent.safetensors"
SAMPLES = Path(__file__).parents[3] / "sample_images"
EDSR = WEIGHTS_FOLDER / "edsr" / "enlarger.safetensors"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of one picture of 400x384 px."""
    folder = tmp_path / "photos"
    folder.mkdir()
    with Image.open(SAMPLES / "coffee.png") as picture:
        pixels = np.asarray(picture.convert("RGB"))[:, :400]
    mirrored = np.pad(pixels, ((0, 384 - len(pixels)), (0, 0), (0, 0)), "reflect")
    Image.fromarray(mirrored).save(folder / "photo.png")
    return folder


def lines_of(capsys: pytest.CaptureFixture[str]) -> list[list[str]]:
    return [line.split("\t") for line in capsys.readouterr().out.splitlines()]


def test_shipped_networks_are_better_than_bicubic_and_alone_the_latent_is_coded(
    photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [str(photos), str(LATENT), str(EDSR), "--qualities", "2", "6"]
    assert upscaler_weights.main(arguments) == 0
    header, *rows = lines_of(capsys)
    assert header == ["file", "quality", "psnr_rgb_db", "gain_db", "grid_loss", "vgg"]
    assert [row[:2] for row in rows] == [[str(LATENT), "2"], [str(LATENT), "6"], [str(EDSR), "0"]]
    assert all(float(row[3]) > 0.1 and row[5] == "" for row in rows)
    assert float(rows[0][2]) < float(rows[1][2]) < float(rows[2][2])


def test_a_network_that_is_at_its_start_is_measured_as_interpolation_is(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start = tmp_path / "enlarger.safetensors"
    save_file(Edsr().state_dict(), start, {"network": "edsr"})
    assert upscaler_weights.main([str(photos), str(start)]) == 0
    _, (_, _, psnr_db, gain_db, _, _) = lines_of(capsys)
    with Image.open(photos / "photo.png") as picture:
        crop = np.asarray(picture)[:, 8:392]
    bicubic = interpolate(downscale(crop, 4), 4, "bicubic")
    assert float(psnr_db) == pytest.approx(psnr_rgb_db(crop, bicubic), abs=0.1)
    assert float(gain_db) == pytest.approx(0, abs=0.1)  # torch's kernel is another one


def test_networks_of_pixels_get_coded_pictures_where_it_is_asked_for(
    photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert upscaler_weights.main([str(photos), str(EDSR), "--coded", "--qualities", "1", "8"]) == 0
    _, low, high = lines_of(capsys)
    assert [low[1], high[1]] == ["1", "8"]
    assert float(low[2]) + 1 < float(high[2])


@pytest.mark.parametrize("name", ["missing", "text", "other"])
def test_what_is_no_network_ends_in_one_line(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    file = tmp_path / name
    if name == "text":
        file.write_text("no weights")
    elif name == "other":
        save_file({"x": torch.zeros(1)}, file)
    assert upscaler_weights.main([str(photos), str(file)]) == 11
    assert capsys.readouterr().err.startswith(f"error: {file}: not weights of ")


def test_a_quality_that_the_codec_lacks_is_an_error(
    photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert upscaler_weights.main([str(photos), str(LATENT), "--qualities", "9"]) == 5
    assert "cdsr1: quality must be 1 to 8, not 9.0. hint: " in capsys.readouterr().err
