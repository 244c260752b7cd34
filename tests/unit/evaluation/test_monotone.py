from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from cdsrcodec import api
from cdsrcodec.evaluation import monotone
from cdsrcodec.evaluation.metrics import psnr_rgb_db
from cdsrcodec.evaluation.monotone import Point, find_falls

Picture = NDArray[np.uint8]
RISING = [Point(1.0, 100, 28.0), Point(1.25, 120, 28.5), Point(1.5, 130, 29.0)]


def test_the_qualities_go_from_1_to_8_by_quarters() -> None:
    assert monotone.QUALITIES[:2] == (1.0, 1.25)
    assert monotone.QUALITIES[-1] == 8.0
    assert len(monotone.QUALITIES) == 29


def test_a_point_is_what_the_api_makes_of_the_picture(picture: Callable[..., Picture]) -> None:
    x = picture(48, 64)
    for point in monotone.measure(x, [1.0, 4.25]):
        stream = api.encode(x, quality=point.quality)
        assert point.stream_bytes == len(stream)
        x_hat = np.asarray(api.decode(stream))
        assert point.psnr_rgb_db == pytest.approx(psnr_rgb_db(x, x_hat))


def test_what_rises_has_no_falls_and_what_stays_has() -> None:
    assert list(find_falls(RISING)) == []
    points = [*RISING, Point(1.75, 130, 28.9), Point(2.0, 140, 28.9)]
    falls = list(find_falls(points))
    assert [str(fall) for fall in falls] == [
        "stream_bytes does not rise from quality 1.5 to 1.75: 130 to 130",
        "psnr_rgb_db does not rise from quality 1.5 to 1.75: 29.0000 to 28.9000",
        "psnr_rgb_db does not rise from quality 1.75 to 2: 28.9000 to 28.9000",
    ]


def test_a_folder_is_told_picture_by_picture(
    picture_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    curves = iter([RISING, [*RISING, Point(1.75, 90, 30.0)]])
    monkeypatch.setattr(monotone, "measure", lambda x, qualities: next(curves))
    output = tmp_path / "out.tsv"
    assert monotone.main([str(picture_folder), "-o", str(output)]) == 1
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "b.PNG: stream_bytes does not rise from quality 1.5 to 1.75: 130 to 90",
        "2 pictures, 56 steps of quality: size does not rise in 1, PSNR in 0",
    ]
    assert err.splitlines() == ["a.png: 0 of 4 do not rise", "b.PNG: 1 of 6 do not rise"]
    lines = output.read_text().splitlines()
    assert lines[:2] == ["image\tquality\tstream_bytes\tpsnr_rgb_db", "a.png\t1\t100\t28.0000"]
    assert len(lines) == 1 + 3 + 4


def test_a_folder_without_falls_ends_well_and_one_without_pictures_does_not(
    picture_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monotone, "measure", lambda x, qualities: RISING)
    assert monotone.main([str(picture_folder)]) == 0
    assert monotone.main([str(tmp_path)]) == 3
    assert monotone.main([str(tmp_path / "missing")]) == 9
