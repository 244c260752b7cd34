from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cdsrcodec import api
from cdsrcodec.evaluation import native
from cdsrcodec.evaluation.anchors import ANCHORS, Coded, Ladder, RoundTrip
from cdsrcodec.evaluation.bd_rate import make_curve

Picture = NDArray[np.uint8]


def row(image: str, codec: str, quality: float, bpp: float, psnr_db: float) -> native.NativeRow:
    return native.NativeRow(image, codec, quality, 10, 10, 100, bpp, psnr_db)


def test_rows_count_every_byte_over_the_real_pixels() -> None:
    x = np.full((5, 8, 3), 100, np.uint8)
    ladder = Ladder(lambda x, quality: Coded(bytes(int(quality)), x + np.uint8(1)), (10, 30))
    first, second = native.measure_picture("a.png", x, {"fake": ladder})
    assert first.stream_bytes == 10
    assert first.bpp == pytest.approx(8 * 10 / 40)
    assert first.psnr_rgb_db == pytest.approx(48.1308, abs=1e-4)
    assert (first.image, first.codec, first.quality) == ("a.png", "fake", 10)
    assert (first.width_px, first.height_px) == (8, 5)
    assert second.bpp == pytest.approx(3 * first.bpp)


def test_cdsr1_is_measured_through_the_api(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[float, int]] = []

    def encode(image: Picture, *, quality: float, codec: str, effort: int) -> bytes:
        assert codec == "cdsr1"
        seen.append((quality, effort))
        return b"stream"

    def decode(data: bytes) -> Image.Image:
        assert data == b"stream"
        return Image.new("RGB", (4, 3), (1, 2, 3))

    monkeypatch.setattr(api, "encode", encode)
    monkeypatch.setattr(api, "decode", decode)
    stream, x_hat = native.code_cdsr1(np.zeros((3, 4, 3), np.uint8), 2.5, effort=3)
    assert (stream, seen) == (b"stream", [(2.5, 3)])
    np.testing.assert_array_equal(x_hat, np.tile([1, 2, 3], (3, 4, 1)))


def test_summary_compares_the_means_with_measured_and_published_curves() -> None:
    rows = [
        row(image, codec, quality, rate * factor, 29 + quality + offset_db)
        for image, offset_db in [("a", -1.0), ("b", 1.0)]
        for codec, factor in [("cdsr1", 0.8), ("webp", 1.0)]
        for quality, rate in [(1, 0.2), (2, 0.4), (3, 0.7)]
    ]
    far = make_curve([0.1, 0.2], [50, 51])
    lines = list(
        native.summarise(rows, {"twice": make_curve([0.32, 0.64, 1.12], [30, 31, 32]), "far": far})
    )
    assert lines[1] == "cdsr1\t1\t0.1600\t30.000"
    assert lines[4] == "webp\t1\t0.2000\t30.000"
    assert lines[8].startswith("against webp, measured: -20.00 %, +")
    assert lines[8].endswith("over 30.00 to 32.00 dB")
    assert lines[9].startswith("against twice, published: -50.00 %, ")
    assert lines[10] == "against far, published: no delta, the curves have no PSNR in common"


def test_one_quality_has_means_but_no_deltas() -> None:
    rows = [row("a", "cdsr1", 4, 0.5, 33.0), row("a", "webp", 50, 0.6, 33.0)]
    lines = list(native.summarise(rows, {}))
    assert lines[1] == "cdsr1\t4\t0.5000\t33.000"
    assert "no delta" in lines[-1]


def test_sweep_from_the_command_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    quantiser: RoundTrip,
    picture_folder: Path,
    tmp_path: Path,
) -> None:
    efforts: set[int] = set()

    def code_cdsr1(x: Picture, quality: float, *, effort: int) -> Coded:
        efforts.add(effort)
        return quantiser(x, quality)

    monkeypatch.setattr(native, "code_cdsr1", code_cdsr1)
    monkeypatch.setitem(ANCHORS, "webp", Ladder(quantiser, (2, 4, 6)))
    published = tmp_path / "anchors.json"
    published.write_text(json.dumps({"codecs": {"vtm": {"bpp": [1, 9], "psnr_rgb": [10, 50]}}}))
    output = tmp_path / "out.tsv"
    arguments = [str(picture_folder), "-o", str(output), "--published", str(published)]
    assert native.main([*arguments, "--qualities", "2", "4", "6", "--effort", "5"]) == 0
    assert efforts == {5}
    with output.open(newline="") as file:
        table = list(csv.DictReader(file, dialect="excel-tab"))
    assert [(r["image"], r["codec"], r["quality"]) for r in table[:4]] == [
        ("a.png", "cdsr1", "2"), ("a.png", "cdsr1", "4"), ("a.png", "cdsr1", "6"),
        ("a.png", "webp", "2"),
    ]  # fmt: skip
    assert len(table) == 12
    out = capsys.readouterr().out
    assert "against webp, measured: +0.00 %, +0.000 dB" in out
    assert "against vtm, published: " in out


def test_a_folder_without_pictures_ends_with_the_code_of_its_error(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert native.main([str(tmp_path), "-o", str(tmp_path / "out.tsv")]) == 3
    assert capsys.readouterr().err.startswith(f"error: {tmp_path}: ")


def test_a_bad_file_of_curves_is_wrong_usage(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for path in (tmp_path / "missing.json", tmp_path):
        with pytest.raises(SystemExit) as caught:
            native.main([str(tmp_path), "-o", "out.tsv", "--published", str(path)])
        assert caught.value.code == 2
        assert "argument --published: " in capsys.readouterr().err


def test_default_ladders_are_the_eight_qualities_and_webp(
    monkeypatch: pytest.MonkeyPatch, picture_folder: Path, tmp_path: Path
) -> None:
    ladders: dict[str, Ladder] = {}

    def keep(folder: Path, output: Path, measure: Callable[..., object]) -> list[native.NativeRow]:
        ladders.update(getattr(measure, "keywords")["ladders"])  # noqa: B009
        return [row("a", "cdsr1", 4, 0.5, 33.0)]

    monkeypatch.setattr(native, "run_sweep", keep)
    assert native.main([str(picture_folder), "-o", str(tmp_path / "out.tsv")]) == 0
    assert ladders["cdsr1"].qualities == (1, 2, 3, 4, 5, 6, 7, 8)
    assert list(ladders) == ["cdsr1", "webp"]
