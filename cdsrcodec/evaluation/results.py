"""The committed results: measures them, and writes their page and the README's table.

    python -m cdsrcodec.evaluation.results --kodak KODAK --clic CLIC --published CURVES.json -j 2

To be run in the source tree. Each benchmark leaves rows.csv, summary.json and rd.png in
docs/results/quality/NAME, in the place of those of an earlier version. Without folders nothing is
measured, and the page is written from what is committed.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import time
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from cdsrcodec.errors import CdsrError, FileAccessError
from cdsrcodec.evaluation.bd_rate import Curve
from cdsrcodec.evaluation.bench.plan import Settings, Task
from cdsrcodec.evaluation.bench.report import ROWS_FILE, SUMMARY_FILE, write_report
from cdsrcodec.evaluation.bench.rows import to_csv
from cdsrcodec.evaluation.bench.running import Progress, run_bench
from cdsrcodec.evaluation.bench.timing import timing_line
from cdsrcodec.evaluation.codecs import Codec, find_codec
from cdsrcodec.evaluation.published import load_anchors
from cdsrcodec.evaluation.scripts import exit_code
from cdsrcodec.evaluation.tables import quality_page, readme_table
from cdsrcodec.imageio.folders import make_folder
from cdsrcodec.imageio.writer import write_bytes

PAGE_FILE, PLOT_FILE, REPORT_PLOT_FILE = "README.md", "rd.png", "rd-psnr_rgb_db.png"
README_FILE, RESULTS_FOLDER = "README.md", "docs/results/quality"
PLOT_COLOURS = 64
COMMITTED_DIGITS = 6
PROGRESS_S = 30
README_BEGIN = "<!-- results: written by python -m cdsrcodec.evaluation.results -->"
README_END = "<!-- end of results -->"

Summaries = Mapping[str, Mapping[str, Any]]
"""What summary.json holds, by name of the benchmark."""


@dataclass(frozen=True)
class Benchmark:
    """One of the benchmarks; `source` is the option that names its pictures."""

    name: str
    source: str
    task: Task
    codecs: tuple[str, ...]
    anchor: str
    qualities: Mapping[str, tuple[float, ...]] = field(default_factory=dict)


BENCHMARKS = (
    Benchmark("kodak", "kodak", "native", ("cdsr1", "jpeg", "webp", "avif420", "avif444"), "webp"),
    Benchmark("clic-lr4", "clic", "lr4", ("cdsr1", "jpeg", "webp", "avif444"), "webp"),
    Benchmark("clic-sr4", "clic", "sr4", ("cdsr1",), "cdsr1 bicubic", {"cdsr1": (1, 3, 5, 7)}),
)


def measure(
    benchmark: Benchmark,
    pictures: Path,
    work: Path,
    *,
    version: str,
    published: Mapping[str, Curve],
    jobs: int,
) -> dict[str, bytes]:
    """Run or resume a benchmark; its whole report stays in the folder `work`.

    Args:
        benchmark: what is measured.
        pictures: folder of its pictures.
        work: folder of its report.
        version: of this package.
        published: curves for task native.
        jobs: processes.

    Returns:
        The files to commit, by name.

    Raises:
        CdsrError: a codec is not here, or a picture could not be measured.
    """
    settings = Settings(
        folder=pictures,
        output=work,
        task=benchmark.task,
        codecs=tuple(_require(name) for name in benchmark.codecs),
        qualities=benchmark.qualities,
        crop_px=0,
        version=version,
    )
    measured = run_bench(settings, jobs, _progress_of(benchmark.name))
    for error in measured.failures.values():
        raise error
    anchors = published if benchmark.task == "native" else {}
    write_report(settings, measured, anchors, benchmark.anchor)
    sys.stderr.write(f"{benchmark.name}: {timing_line(measured.timing)}\n")
    return {
        ROWS_FILE: to_csv(measured.rows, digits=COMMITTED_DIGITS).encode(),
        SUMMARY_FILE: (work / SUMMARY_FILE).read_bytes(),
        PLOT_FILE: shrink_plot((work / REPORT_PLOT_FILE).read_bytes()),
    }


def _version_of(project: Path) -> str:
    file = project / "pyproject.toml"
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise FileAccessError(f"{file}: {error.strerror}. hint: name the source tree") from error
    return str(tomllib.loads(text)["project"]["version"])


def _require(name: str) -> Codec:
    codec = find_codec(name, device="auto")
    if reason := codec.missing():
        raise CdsrError(f"{name} cannot be measured here: {reason}")
    return codec


def _progress_of(name: str) -> Callable[[Progress], None]:
    last_s = time.monotonic()

    def tell(progress: Progress) -> None:
        """Print how far it is, now and then."""
        nonlocal last_s
        if time.monotonic() - last_s > PROGRESS_S:
            last_s = time.monotonic()
            share_percent = 100 * progress.cost_done / progress.cost
            sys.stderr.write(f"{name}: {progress.units_done}/{progress.units}, ")
            sys.stderr.write(f"{share_percent:.0f} % of the work\n")

    return tell


def shrink_plot(png: bytes) -> bytes:
    """The same PNG with few colours: a third of the bytes."""
    file = io.BytesIO()
    with Image.open(io.BytesIO(png)) as image:
        image.convert("RGB").quantize(PLOT_COLOURS).save(file, "PNG", optimize=True)
    return file.getvalue()


def committed_summaries(results: Path) -> Summaries:
    """What was measured last, in the order of the benchmarks.

    Args:
        results: the folder docs/results/quality.

    Raises:
        CdsrError: there is nothing.
    """
    paths = {benchmark.name: results / benchmark.name / SUMMARY_FILE for benchmark in BENCHMARKS}
    there = {name: path for name, path in paths.items() if path.exists()}
    if not there:
        raise CdsrError(f"{results}: no results. hint: measure them with --kodak and --clic")
    return {name: json.loads(path.read_text(encoding="utf-8")) for name, path in there.items()}


def with_table(readme: str, table: str) -> str:
    """The README's text with the table between its two marks.

    Raises:
        CdsrError: a mark is missing.
    """
    head, begin, rest = readme.partition(README_BEGIN)
    _, end, tail = rest.partition(README_END)
    if not (begin and end):
        raise CdsrError(f"the README has no lines {README_BEGIN} and {README_END}")
    return f"{head}{README_BEGIN}\n{table}{README_END}{tail}"


def write_pages(project: Path) -> None:
    """Write the page of the committed results, and the README's table, in a source tree.

    Raises:
        CdsrError: as committed_summaries and with_table, or a file cannot be written.
    """
    readme, results = project / README_FILE, project / RESULTS_FOLDER
    summaries = committed_summaries(results)
    write_bytes(quality_page(summaries).encode(), results / PAGE_FILE)
    table = readme_table(summaries, f"{RESULTS_FOLDER}/{PAGE_FILE}")
    text = with_table(readme.read_text(encoding="utf-8"), table)
    write_bytes(text.encode(), readme)


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m cdsrcodec.evaluation.results", description=__doc__
    )
    parser.add_argument("--kodak", type=Path, help="folder of the 24 Kodak pictures")
    parser.add_argument("--clic", type=Path, help="folder of large pictures, reduced by 4")
    parser.add_argument("--published", type=Path, help="JSON of curves of the Kodak pictures")
    parser.add_argument("--work", type=Path, default=Path("build/results"), help="of whole reports")
    parser.add_argument("-j", "--jobs", type=int, default=1, help="processes")
    parser.add_argument("--project", type=Path, default=Path(), help="the source tree")
    args = parser.parse_args(argv)
    try:
        args.published = load_anchors(args.published) if args.published else {}
    except (OSError, ValueError) as error:
        parser.error(f"argument --published: {error}")
    return args


def main(argv: Sequence[str] | None = None, benchmarks: Sequence[Benchmark] = BENCHMARKS) -> int:
    """Measure what there are folders for, and write the pages; returns the exit code."""
    args = _parse(argv)

    def run() -> None:
        """Measure what there are pictures for, then write the pages."""
        for benchmark in benchmarks:
            pictures = getattr(args, benchmark.source)
            if pictures is None:
                continue
            version = _version_of(args.project)
            files = measure(
                benchmark,
                pictures,
                args.work / benchmark.name,
                version=version,
                published=args.published,
                jobs=args.jobs,
            )
            folder = args.project / RESULTS_FOLDER / benchmark.name
            make_folder(folder)
            for name, data in files.items():
                write_bytes(data, folder / name)
        write_pages(args.project)

    return exit_code(run)


if __name__ == "__main__":
    sys.exit(main())
