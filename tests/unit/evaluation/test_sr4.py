from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cdsrcodec import api
from cdsrcodec.evaluation import sr4
from cdsrcodec.imageio.resampling import interpolate

Picture = NDArray[np.uint8]


class RawCodec:
    """Stores the pixels as they are; enlarges by repetition."""

    def __init__(self) -> None:
        self.encoded: list[tuple[Picture, float]] = []

    def encode(self, image: Picture, *, quality: float) -> bytes:
        self.encoded.append((image, quality))
        return image.shape[1].to_bytes(2, "big") + image.tobytes()

    def decode(self, data: bytes, *, sr: int = 1, upscaler: str = "latent") -> Image.Image:
        x = np.frombuffer(data[2:], np.uint8).reshape(-1, int.from_bytes(data[:2], "big"), 3)
        if upscaler == "lanczos":
            return Image.fromarray(interpolate(x, sr, upscaler))
        return Image.fromarray(x.repeat(sr, 0).repeat(sr, 1))


@pytest.fixture
def codec(monkeypatch: pytest.MonkeyPatch) -> RawCodec:
    raw = RawCodec()
    monkeypatch.setattr(api, "encode", raw.encode)
    monkeypatch.setattr(api, "decode", raw.decode)
    return raw


@pytest.mark.parametrize(("shape", "cut"), [((8, 12), (8, 12)), ((11, 13), (8, 12))])
def test_crop_keeps_the_upper_left(shape: tuple[int, int], cut: tuple[int, int]) -> None:
    x = np.arange(shape[0] * shape[1] * 3, dtype=np.uint8).reshape(*shape, 3)
    cropped = sr4.crop_to_multiple(x, 4)
    np.testing.assert_array_equal(cropped, x[: cut[0], : cut[1]])
    assert cropped.shape[:2] == cut


def test_the_antialiased_quarter_is_coded_once_a_quality(
    codec: RawCodec, picture: Callable[..., Picture]
) -> None:
    x = picture(166, 171)
    rows = list(sr4.measure_picture("a.png", x, [1, 5]))
    assert [(r.quality, r.method) for r in rows] == [
        (1, "latent"), (1, "lanczos"), (5, "latent"), (5, "lanczos"),
    ]  # fmt: skip
    assert [quality for _, quality in codec.encoded] == [1, 5]
    quarter = Image.fromarray(x[:164, :168]).resize((42, 41), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(codec.encoded[0][0], np.asarray(quarter))
    assert (rows[0].width_px, rows[0].height_px) == (42, 41)
    assert rows[0].bpp == pytest.approx(8 * (2 + 41 * 42 * 3) / (41 * 42))


def test_the_two_enlargements_are_measured_against_the_original(
    codec: RawCodec, picture: Callable[..., Picture]
) -> None:
    x = picture(164, 164)
    x[:4], x[-4:], x[:, :4], x[:, -4:] = 0, 0, 0, 0  # a border that the PSNR must not see
    latent, lanczos = sr4.measure_picture("a.png", x, [4])
    native = Image.fromarray(codec.encoded[0][0])
    for row, filter_ in [
        (latent, Image.Resampling.NEAREST),
        (lanczos, Image.Resampling.LANCZOS),
    ]:
        enlarged = np.asarray(native.resize((164, 164), filter_))
        error = enlarged[4:-4, 4:-4].astype(float) - x[4:-4, 4:-4]
        assert row.psnr_rgb_db == pytest.approx(10 * np.log10(255**2 / np.mean(error**2)))
        # Luma averages the noise of the channels away, and its range is shorter.
        assert row.psnr_y_db > row.psnr_rgb_db
        assert 0 < row.ms_ssim < 1


def test_summary_gives_means_and_gains() -> None:
    rows = [
        sr4.EnlargementRow("a", 3, method, 4, 4, 10, bpp, psnr_db, psnr_db + 1, ms_ssim)
        for bpp, shift_db in [(0.4, 0.0), (0.6, 2.0)]
        for method, psnr_db, ms_ssim in [
            ("latent", 26 + shift_db, 0.95), ("lanczos", 25.25 + shift_db, 0.93),
        ]
    ]  # fmt: skip
    assert list(sr4.summarise(rows)) == [
        "quality\tmethod\tbpp\tpsnr_rgb_db\tpsnr_y_db\tms_ssim",
        "3\tlatent\t0.5000\t27.0000\t28.0000\t0.9500",
        "3\tlanczos\t0.5000\t26.2500\t27.2500\t0.9300",
        "3\tgain\t\t+0.7500\t+0.7500\t+0.0200",
    ]


def test_sweep_from_the_command_line(
    codec: RawCodec,
    picture: Callable[..., Picture],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    Image.fromarray(picture(164, 164)).save(tmp_path / "a.png")
    output = tmp_path / "out.tsv"
    assert sr4.main([str(tmp_path), "-o", str(output), "--qualities", "2.5"]) == 0
    with output.open(newline="") as file:
        table = list(csv.DictReader(file, dialect="excel-tab"))
    assert [(r["image"], r["quality"], r["method"]) for r in table] == [
        ("a.png", "2.5", "latent"), ("a.png", "2.5", "lanczos"),
    ]  # fmt: skip
    assert capsys.readouterr().out.splitlines()[-1].startswith("2.5\tgain\t\t")
    assert [quality for _, quality in codec.encoded] == [2.5]
