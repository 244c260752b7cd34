"""One batch of pictures of every mode and size, some of them broken, whole and killed.

A few tens of tiny pictures unless told. The full thousand are up to 3000x2000, their batch is
killed ten times, and it is told how much faster a batch is than a process each:

    CDSRCODEC_MIXED_PICTURES=1000 python -m pytest -s tests/cli/test_mixed_batch.py
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random

import click
import numpy as np
import psutil
import pytest
from click.testing import Result
from PIL import Image

import cdsrcodec
from cdsrcodec.imageio.reader import read_picture

pytestmark = pytest.mark.slow

Run = Callable[..., Result]
ROOT = Path(__file__).resolve().parents[2]
COUNT = int(os.environ.get("CDSRCODEC_MIXED_PICTURES", "40"))
IS_FULL = COUNT >= 1000
LARGEST_PX = (3000, 2000) if IS_FULL else (48, 32)
BROKEN_COUNT = max(4, COUNT // 50)
KILLS = 10 if IS_FULL else 1
MAX_WORKERS = 2
SMALL_COUNT, PROCESS_COUNT, LEAST_GAIN = 200, 5, 20
MAX_GROWTH = 1.2  # of memory, after the largest picture, which comes first
# Mean difference of samples to the source; between two of the sample images it is 59 to 80.
MAX_DIFFERENCE = 25
ORIENTATION, ON_ITS_SIDE = 0x0112, 6
# All that Pillow makes of files; the bands of "LAB" are filled with those of RGB.
MODES = {"1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "I", "I;16", "I;16B", "F"}


def save(image: Image.Image, path: Path, *, mode: str) -> None:
    image.convert(mode).save(path)


def save_with_hole(image: Image.Image, path: Path) -> None:
    image.convert("P").save(path, transparency=0)


def save_bands(image: Image.Image, path: Path, *, mode: str) -> None:
    Image.merge(mode, image.split()).save(path)


def save_integers(image: Image.Image, path: Path, *, dtype: str) -> None:
    Image.fromarray((257 * np.asarray(image.convert("L"), np.int32)).astype(dtype)).save(path)


def save_floats(image: Image.Image, path: Path) -> None:
    Image.fromarray(np.asarray(image.convert("L"), np.float32) / 255).save(path)


def save_with_alpha(image: Image.Image, path: Path, *, mode: str) -> None:
    image = image.convert(mode)
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    image.save(path, lossless=True)


def save_on_its_side(image: Image.Image, path: Path) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = ON_ITS_SIDE
    image.transpose(Image.Transpose.ROTATE_90).save(path, exif=exif)


FORMS: dict[str, Callable[[Image.Image, Path], None]] = {
    "rgb.png": partial(save, mode="RGB"),
    "rgb.jpg": partial(save, mode="RGB"),
    "rgb.bmp": partial(save, mode="RGB"),
    "rgb.webp": partial(save, mode="RGB"),
    "grey.png": partial(save, mode="L"),
    "bits.png": partial(save, mode="1"),
    "palette.png": partial(save, mode="P"),
    "hole.png": save_with_hole,
    "cmyk.jpg": partial(save, mode="CMYK"),
    "cmyk.tif": partial(save, mode="CMYK"),
    "16.png": partial(save_integers, dtype="<u2"),
    "16.tif": partial(save_integers, dtype=">u2"),
    "32.tif": partial(save_integers, dtype="<i4"),
    "ycbcr.tif": partial(save, mode="YCbCr"),
    "lab.tif": partial(save_bands, mode="LAB"),
    "palette.gif": partial(save, mode="P"),
    "float.tif": save_floats,
    "la.png": partial(save_with_alpha, mode="L"),
    "rgba.png": partial(save_with_alpha, mode="RGB"),
    "rgba.webp": partial(save_with_alpha, mode="RGB"),
    "side.jpg": save_on_its_side,
}


@dataclass
class Mixed:
    """A folder of pictures.

    Attributes:
        folder: where they are.
        sizes_px: name of each good one without extension -> width and height, upright.
        broken: paths of the others.
    """

    folder: Path
    sizes_px: dict[str, tuple[int, int]] = field(default_factory=dict)
    broken: list[Path] = field(default_factory=list)


def draw_size(rng: Random, index: int) -> tuple[int, int]:
    """The largest size, one pixel, one row, one column, then any, small ones more often."""
    width_px, height_px = LARGEST_PX
    first = (LARGEST_PX, (1, 1), (width_px, 1), (1, height_px))
    if index < len(first):
        return first[index]
    return round(width_px ** rng.random()), round(height_px ** rng.random())


def break_file(path: Path, how: int) -> None:
    data = path.read_bytes()
    ways = (b"", b"no picture at all", data[: len(data) // 2], bytes(8) + data[8:])
    path.write_bytes(ways[how % len(ways)])


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Mixed:
    rng, made = Random(7), Mixed(tmp_path_factory.mktemp("mixed"))
    samples = [Image.open(path).convert("RGB") for path in (ROOT / "sample_images").glob("*.png")]
    broken = set(range(5, COUNT, COUNT // BROKEN_COUNT)[:BROKEN_COUNT])
    forms = list(FORMS.items())
    for index in range(COUNT):
        form, write = (
            ("rgb.png", FORMS["rgb.png"]) if index in broken else forms[index % len(forms)]
        )
        size_px = draw_size(rng, index)
        path = made.folder / f"{index:04}-{form}"
        write(samples[index % len(samples)].resize(size_px), path)
        if index in broken:
            break_file(path, len(made.broken))
            made.broken.append(path)
        else:
            made.sizes_px[path.stem] = size_px
    assert len(made.broken) == BROKEN_COUNT
    assert len(made.sizes_px) == COUNT - BROKEN_COUNT
    return made


def start(command: str, folder: Path, out: Path, *options: str) -> psutil.Popen:
    """A batch as a process of its own."""
    program = [sys.executable, "-m", "cdsrcodec", command, "-r", str(folder)]
    return psutil.Popen(
        [*program, "-o", str(out), *options], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )


def run_watched(command: str, folder: Path, out: Path) -> tuple[int, list[dict[str, object]]]:
    """Exit code and records of a batch whose memory does not grow."""
    memory_bytes, records = [], []
    with start(command, folder, out, "--json") as batch:
        for line in batch.stdout:
            records.append(json.loads(line))
            memory_bytes.append(batch.memory_info().rss)
    half = len(records) // 2
    assert max(memory_bytes[half:]) < MAX_GROWTH * max(memory_bytes[:half])
    return batch.returncode, records


def check_pictures(mixed: Mixed, back: Path) -> None:
    """Every good picture came back upright, in its size, and as itself rather than another."""
    sources = {path.stem: path for path in mixed.folder.iterdir()}
    for stem, size_px in mixed.sizes_px.items():
        source = read_picture(sources[stem], max_pixels=LARGEST_PX[0] * LARGEST_PX[1])
        with Image.open(back / f"{stem}.png") as image:
            assert image.size == size_px, stem
            pixels = np.asarray(image.convert("RGBA"), np.int16)
        seen = np.ones(pixels.shape[:2], bool) if source.alpha is None else source.alpha > 0
        difference = np.abs(pixels[..., :3] - source.pixels)[seen]
        limit = 2 * MAX_DIFFERENCE if source.bits == 1 else MAX_DIFFERENCE  # dither is noise
        assert difference.size == 0 or difference.mean() < limit, stem


def check_streams(mixed: Mixed, out: Path) -> None:
    """Every good picture has one good stream of its size, and there is nothing else."""
    assert sorted(path.name for path in out.iterdir() if not path.name.startswith(".")) == [
        f"{stem}.cdsr" for stem in sorted(mixed.sizes_px)
    ]
    for stem, size_px in mixed.sizes_px.items():
        found = cdsrcodec.verify_file(out / f"{stem}.cdsr")
        assert (found.width_px, found.height_px) == size_px, stem


def test_the_pictures_are_of_every_mode(mixed: Mixed) -> None:
    modes = set()
    for path in set(mixed.folder.iterdir()) - set(mixed.broken):
        with Image.open(path) as image:
            modes.add(image.mode)
    assert modes == MODES


def test_every_good_picture_is_coded_and_every_broken_one_listed(
    mixed: Mixed, tmp_path: Path
) -> None:
    out, back = tmp_path / "out", tmp_path / "back"
    exit_code, records = run_watched("encode", mixed.folder, out)
    assert exit_code == 3
    assert len(records) == COUNT
    failed = {record["input"]: record["error"] for record in records if record["exit_code"]}
    assert failed == dict.fromkeys(map(str, mixed.broken), "InputImageError")
    check_streams(mixed, out)
    exit_code, records = run_watched("decode", out, back)
    assert exit_code == 0
    assert len(records) == len(mixed.sizes_px)
    check_pictures(mixed, back)


def kill_after(batch: psutil.Popen, out: Path, wanted: int, rng: Random) -> None:
    """Kill a batch and its workers at any moment of the file after so many."""
    count, begin_s = len(list(out.glob("*.cdsr"))), time.monotonic()
    first, per_file_s = count, 0.0
    while count < wanted:
        assert batch.poll() is None
        time.sleep(0.002)
        count = len(list(out.glob("*.cdsr")))
        if count == first:
            begin_s = time.monotonic()  # loading is not coding
        else:
            per_file_s = (time.monotonic() - begin_s) / (count - first)
    time.sleep(per_file_s * rng.random())
    for process in (batch, *batch.children(recursive=True)):
        process.kill()


def test_a_batch_that_is_killed_again_and_again_ends_as_one_that_was_not(
    mixed: Mixed, run: Run, tmp_path: Path
) -> None:
    rng, out = Random(8), tmp_path / "out"
    made: dict[Path, int] = {}
    for kill in range(KILLS):
        wanted = len(made) + rng.randint(2, (len(mixed.sizes_px) - len(made)) // (KILLS - kill + 2))
        workers = 1 + kill % MAX_WORKERS
        options = ("--skip-existing", "--quiet", "-j", str(workers))
        with start("encode", mixed.folder, out, *options) as batch:
            kill_after(batch, out, wanted, rng)
        found = {path: path.stat().st_ino for path in out.glob("*.cdsr")}
        assert made.items() <= found.items()  # nothing is made twice
        assert all(cdsrcodec.info_file(path).codec == "cdsr1" for path in found)  # or in part
        made = found
    assert 0 < len(made) < len(mixed.sizes_px)
    result = run("encode", "-r", mixed.folder, "-o", out, "--skip-existing")
    assert result.exit_code == 3
    counts = (
        f"{len(mixed.sizes_px) - len(made)} encoded, {len(made)} skipped, {BROKEN_COUNT} failed"
    )
    assert counts in result.stderr.splitlines()
    assert made.items() <= {path: path.stat().st_ino for path in out.glob("*.cdsr")}.items()
    check_streams(mixed, out)
    # What kill -9 may leave: the one file that a worker was writing.
    assert len(list(out.glob(".cdsr-*.part"))) <= KILLS * MAX_WORKERS


@pytest.mark.skipif(not IS_FULL, reason="a measurement, of the thousand")
def test_a_batch_is_many_times_as_fast_as_a_process_for_each_picture(tmp_path: Path) -> None:
    folder, pixels = tmp_path / "small", np.random.default_rng(9).integers(0, 256, (32, 48, 3))
    folder.mkdir()
    for index in range(SMALL_COUNT):
        Image.fromarray(np.roll(pixels, index).astype(np.uint8)).save(folder / f"{index:03}.png")
    begin_s = time.perf_counter()
    with start("encode", folder, tmp_path / "out", "--quiet") as batch:
        assert batch.wait() == 0
    in_batch_s = (time.perf_counter() - begin_s) / SMALL_COUNT
    begin_s = time.perf_counter()
    for index in range(PROCESS_COUNT):
        command = [sys.executable, "-m", "cdsrcodec", "encode", "--quiet"]
        files = [str(folder / f"{index:03}.png"), str(tmp_path / f"{index}.cdsr")]
        subprocess.run([*command, *files], cwd=ROOT, check=True)
    alone_s = (time.perf_counter() - begin_s) / PROCESS_COUNT
    gain = alone_s / in_batch_s
    click.echo(f"\n48x32 px: {in_batch_s:.4f} s in a batch, {alone_s:.2f} s alone, {gain:.0f}x")
    assert gain >= LEAST_GAIN
