"""One batch of pictures of every mode and size, some of them broken, whole and killed.

A few tens of tiny pictures unless told; the full thousand, up to 3000x2000, take an hour:

    CDSRCODEC_MIXED_PICTURES=1000 python -m pytest tests/cli/test_mixed_batch.py
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

import numpy as np
import psutil
import pytest
from click.testing import Result
from PIL import Image

import cdsrcodec

pytestmark = pytest.mark.slow

Run = Callable[..., Result]
ROOT = Path(__file__).resolve().parents[2]
COUNT = int(os.environ.get("CDSRCODEC_MIXED_PICTURES", "40"))
IS_FULL = COUNT >= 1000
LARGEST_PX = (3000, 2000) if IS_FULL else (48, 32)
BROKEN_COUNT = max(4, COUNT // 50)
KILLS = 10 if IS_FULL else 1
MAX_GROWTH = 1.2  # of memory, after the largest picture, which comes first
ORIENTATION, ON_ITS_SIDE = 0x0112, 6


def save(image: Image.Image, path: Path, *, mode: str) -> None:
    image.convert(mode).save(path)


def save_with_hole(image: Image.Image, path: Path) -> None:
    image.convert("P").save(path, transparency=0)


def save_16_bit(image: Image.Image, path: Path) -> None:
    Image.fromarray(257 * np.asarray(image.convert("L"), np.uint16)).save(path)


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
    "16.png": save_16_bit,
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


def start(mixed: Mixed, out: Path, *options: str) -> psutil.Popen:
    """The batch as a process of its own."""
    command = [sys.executable, "-m", "cdsrcodec", "encode", "-r", str(mixed.folder)]
    return psutil.Popen(
        [*command, "-o", str(out), *options], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )


def check_streams(mixed: Mixed, out: Path) -> None:
    """Every good picture has one good stream of its size, and there is nothing else."""
    assert sorted(path.name for path in out.iterdir() if not path.name.startswith(".")) == [
        f"{stem}.cdsr" for stem in sorted(mixed.sizes_px)
    ]
    for stem, size_px in mixed.sizes_px.items():
        found = cdsrcodec.verify_file(out / f"{stem}.cdsr")
        assert (found.width_px, found.height_px) == size_px, stem


def test_every_good_picture_is_coded_and_every_broken_one_listed(
    mixed: Mixed, run: Run, tmp_path: Path
) -> None:
    out, back = tmp_path / "out", tmp_path / "back"
    memory_bytes, records = [], []
    with start(mixed, out, "--json") as batch:
        for line in batch.stdout:
            records.append(json.loads(line))
            memory_bytes.append(batch.memory_info().rss)
    assert batch.returncode == 3
    assert max(memory_bytes[COUNT // 2 :]) < MAX_GROWTH * max(memory_bytes[: COUNT // 2])
    assert len(records) == COUNT
    failed = {record["input"]: record["error"] for record in records if record["exit_code"]}
    assert failed == dict.fromkeys(map(str, mixed.broken), "InputImageError")
    check_streams(mixed, out)
    assert run("decode", "-r", out, "-o", back, "--format", "png", "--quiet").exit_code == 0
    for stem, size_px in mixed.sizes_px.items():
        with Image.open(back / f"{stem}.png") as image:
            assert image.size == size_px, stem


def test_a_batch_that_is_killed_again_and_again_ends_as_one_that_was_not(
    mixed: Mixed, run: Run, tmp_path: Path
) -> None:
    rng, out = Random(8), tmp_path / "out"
    made: dict[Path, int] = {}
    for kill in range(KILLS):
        wanted = len(made) + rng.randint(1, (len(mixed.sizes_px) - len(made)) // (KILLS - kill + 2))
        with start(mixed, out, "--skip-existing", "--quiet") as batch:
            while len(list(out.glob("*.cdsr"))) < wanted:
                assert batch.poll() is None
                time.sleep(0.005)
            time.sleep(0.02 * rng.random())
            batch.kill()
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
