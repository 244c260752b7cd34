from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cdsrcodec import api
from cdsrcodec.evaluation import targets
from cdsrcodec.evaluation.targets import BPP_RANGE, OVER, UNDER, Trial, draw_targets, try_target

SAMPLES = Path(__file__).resolve().parents[3] / "sample_images"


@pytest.mark.parametrize(
    ("stream_bytes", "quality", "verdict"),
    [
        (1000, 4.0, "met"),
        (970, 4.0, "met"),
        (969, 4.0, UNDER),
        (969, 8.0, "larger than the largest file"),
        (1001, 4.0, OVER),
        (None, None, "smaller than the smallest file"),
    ],
)
def test_a_target_is_met_up_to_3_percent_under_it(
    stream_bytes: int | None, quality: float | None, verdict: str
) -> None:
    assert Trial("a.png", 1000, stream_bytes, quality).verdict == verdict


def test_a_seed_gives_the_same_pictures_and_rates() -> None:
    paths = [Path(name) for name in "abc"]
    first = list(draw_targets(paths, 50, seed=1))
    assert first == list(draw_targets(paths, 50, seed=1))
    assert first != list(draw_targets(paths, 50, seed=2))
    assert {path for path, _ in first} == set(paths)
    assert all(BPP_RANGE[0] <= bpp <= BPP_RANGE[1] for _, bpp in first)


def test_a_trial_is_a_search_with_the_codec() -> None:
    # A photograph: of small synthetic pictures the file of quality 1 need not be the smallest.
    with Image.open(SAMPLES / "cat.png") as image:
        x = np.asarray(image.convert("RGB"))[100:148, 100:164]
    smallest, largest = (len(api.encode(x, quality=quality)) for quality in (1.0, 8.0))
    pixels = x.shape[0] * x.shape[1]
    trial = try_target("a.png", x, 8 * (smallest + 20) / pixels)
    assert trial.target_bytes == smallest + 20
    assert trial.stream_bytes is not None
    assert smallest <= trial.stream_bytes <= smallest + 20
    assert try_target("a.png", x, 8 * (smallest - 1) / pixels).stream_bytes is None
    assert try_target("a.png", x, 16 * largest / pixels) == ("a.png", 2 * largest, largest, 8.0)


def test_trials_are_told_line_by_line_and_a_failure_is_the_exit_code(
    picture_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = iter([990, 1001, None])
    monkeypatch.setattr(
        targets, "try_target", lambda image, x, bpp: Trial(image, 1000, next(sizes), 3.5)
    )
    assert targets.main([str(picture_folder), "--trials", "3", "--seed", "7"]) == 1
    head, met, over, none, end = capsys.readouterr().out.splitlines()
    assert head.split("\t")[1:3] == ["target_bytes", "stream_bytes"]
    assert met.split("\t")[1:] == ["1000", "990", "3.5", "1.00", "met"]
    assert over.endswith(f"-0.10\t{OVER}")
    assert none.split("\t")[1:3] == ["1000", ""]
    assert end == "3 trials with seed 7: 1 failed"


def test_trials_that_hold_end_well(picture_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targets, "try_target", lambda image, x, bpp: Trial(image, 100, 99, 2.0))
    assert targets.main([str(picture_folder), "--trials", "2"]) == 0
    assert targets.main([str(picture_folder / "missing")]) == 9
