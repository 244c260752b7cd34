"""Committed results: the command that makes them, and that they and the README agree."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import cdsrcodec
from cdsrcodec.errors import CdsrError
from cdsrcodec.evaluation import results
from cdsrcodec.evaluation.bench import report
from cdsrcodec.evaluation.bench.report import ROWS_FILE
from cdsrcodec.evaluation.bench.rows import Row
from cdsrcodec.evaluation.bench.summary import plain, summarise
from cdsrcodec.evaluation.digests import file_sha256
from cdsrcodec.evaluation.results import README_BEGIN, README_END, Benchmark
from cdsrcodec.evaluation.tables import quality_page, readme_table
from cdsrcodec.models.registry import codec_named

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / results.RESULTS_FOLDER
COMMITTED = results.committed_summaries(FOLDER)
TEXTS = {"image", "codec", "enlarger", "view"}
SMALL = (
    Benchmark("kodak", "kodak", "native", ("cdsr1", "jpeg"), "jpeg", {"cdsr1": (1, 4, 8)}),
    Benchmark("clic-sr4", "clic", "sr4", ("cdsr1",), "cdsr1 bicubic", {"cdsr1": (1, 4)}),
)


def read_rows(file: Path) -> list[Row]:
    """The rows of a committed table."""
    with file.open(newline="", encoding="utf-8") as lines:
        table = list(csv.DictReader(lines))
    cells: list[dict[str, Any]] = [
        {name: (text if name in TEXTS else float(text) if text else None)
         for name, text in line.items()} for line in table
    ]  # fmt: skip
    return [Row(**line) for line in cells]


def png(width_px: int, height_px: int) -> bytes:
    file = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (height_px, width_px, 3), np.uint8)
    Image.fromarray(noise).save(file, "PNG")
    return file.getvalue()


def test_the_table_of_the_readme_is_that_of_the_committed_results() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    table = readme.split(README_BEGIN)[1].split(README_END)[0].strip("\n")
    assert table == readme_table(COMMITTED, "docs/results/quality/README.md").strip("\n")


def test_the_page_of_the_committed_results_is_theirs() -> None:
    assert (FOLDER / results.PAGE_FILE).read_text(encoding="utf-8") == quality_page(COMMITTED)


def test_the_committed_results_are_of_one_version() -> None:
    assert set(COMMITTED) == {benchmark.name for benchmark in results.BENCHMARKS}
    assert len({summary["version"] for summary in COMMITTED.values()}) == 1


@pytest.mark.parametrize("name", COMMITTED)
def test_the_committed_curves_are_the_means_of_the_committed_rows(name: str) -> None:
    methods = summarise(read_rows(FOLDER / name / ROWS_FILE))
    told = COMMITTED[name]["methods"]
    assert [method.name for method in methods] == [method["name"] for method in told]
    for method, entry in zip(methods, told, strict=True):
        for point, expected in zip(method.points, entry["points"], strict=True):
            for measure, spread in point.measures.items():
                mean = None if spread is None else plain(spread.mean)
                known = expected[measure] and expected[measure]["mean"]
                assert mean == (None if known is None else pytest.approx(known, rel=1e-5))


@pytest.mark.parametrize("name", COMMITTED)
def test_results_of_this_version_are_of_the_weights_that_it_ships(name: str) -> None:
    summary = COMMITTED[name]
    shipped = {
        path.name: file_sha256(path)
        for path in codec_named("cdsr1").folder.glob("*.safetensors")
    }  # fmt: skip
    recorded = dict(summary["codecs"]["cdsr1"]["weights"])
    used = {entry["enlarger"]: entry["weights"] for entry in summary.get("enlargers", [])}
    recorded |= {"latent.safetensors": used["latent"]} if "latent" in used else {}
    assert summary["version"] != cdsrcodec.__version__ or recorded.items() <= shipped.items()


@pytest.fixture
def folders(tmp_path: Path, picture: Callable[..., NDArray[np.uint8]]) -> Path:
    (tmp_path / "pictures").mkdir()
    Image.fromarray(picture(48, 64)).save(tmp_path / "pictures" / "a.png")
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "9.8.7"\n')
    (tmp_path / "README.md").write_text(f"# x\n\n{README_BEGIN}\nold\n{README_END}\nrest\n")
    return tmp_path


@pytest.fixture
def call(folders: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Calls the command in a folder of its own, with a plot of noise."""
    plots = {results.REPORT_PLOT_FILE: png(160, 120)}
    monkeypatch.setattr(report, "draw_plots", lambda methods, deltas: plots)

    def run(*arguments: str) -> int:
        places = ("--work", str(folders / "work"), "--project", str(folders))
        return results.main([*places, *arguments], SMALL)

    return run


def test_one_command_measures_and_writes_tables_page_and_readme(
    folders: Path, call: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    curves = folders / "curves.json"
    curve = {"bpp": [0.01, 9], "psnr_rgb": [10, 50]}
    curves.write_text(json.dumps({"codecs": {"vtm": curve}}))
    pictures = str(folders / "pictures")
    assert call("--kodak", pictures, "--published", str(curves)) == 0
    committed = folders / results.RESULTS_FOLDER
    assert {path.name for path in committed.rglob("*")} == {
        "kodak", "README.md", "rows.csv", "summary.json", "rd.png",
    }  # fmt: skip
    assert len(read_rows(committed / "kodak" / ROWS_FILE)) == 3 + 8
    assert "Measured with version 9.8.7: " in (committed / results.PAGE_FILE).read_text()
    readme = (folders / "README.md").read_text()
    assert readme.startswith(f"# x\n\n{README_BEGIN}\nBytes at equal PSNR")
    assert readme.endswith(f"{README_END}\nrest\n")
    assert "| VTM, published | " in readme
    assert "kodak: 11 units in " in capsys.readouterr().err
    assert call("--clic", pictures) == 0
    assert "| `latent` | " in (folders / "README.md").read_text()
    assert "| VTM, published | " in (folders / "README.md").read_text()


def test_without_folders_it_writes_from_what_is_committed(
    folders: Path, call: Callable[..., int]
) -> None:
    committed = folders / results.RESULTS_FOLDER
    for name, task in (("clic-lr4", "lr4"), ("kodak", "native"), ("former", "native")):
        (committed / name).mkdir(parents=True)
        method = {"name": "cdsr1", "codec": "cdsr1", "enlarger": "", "points": []}
        summary = {"version": "9.8.6", "task": task, "pictures": [], "methods": [method]}
        text = json.dumps({**summary, "deltas": [], "crossovers": [], "timing": None})
        (committed / name / "summary.json").write_text(text)
    assert call() == 0
    assert "docs/results/quality/README.md" in (folders / "README.md").read_text()
    page = (committed / results.PAGE_FILE).read_text()
    assert [line for line in page.splitlines() if line.startswith("## ")] == [
        "## Kodak, 0 pictures at their size", "## CLIC, 0 pictures reduced by 4",
    ]  # fmt: skip


def test_what_cannot_be_measured_or_written_is_an_error(
    folders: Path, call: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert call() == CdsrError.exit_code
    assert "no results" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        call("--published", str(folders / "missing.json"))
    (folders / "pictures" / "b.png").write_bytes(b"damaged")
    assert call("--clic", str(folders / "pictures")) == 3
    assert "b.png" in capsys.readouterr().err
    (folders / "pyproject.toml").unlink()
    assert call("--clic", str(folders / "pictures")) == 9
    assert "hint: name the source tree" in capsys.readouterr().err
    with pytest.raises(CdsrError, match="the README has no lines"):
        results.with_table("# no marks", "table")


def test_a_plot_keeps_its_size_in_fewer_bytes() -> None:
    plot = png(200, 100)
    small = results.shrink_plot(plot)
    assert len(small) < len(plot) / 2
    with Image.open(io.BytesIO(small)) as image:
        assert image.size == (200, 100)
