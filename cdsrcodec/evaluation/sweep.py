"""What the sweeps share: the pictures of a folder, the table of rows, the exit code."""

from __future__ import annotations

import csv
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import astuple, fields
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from cdsrcodec.container import Limits
from cdsrcodec.errors import CdsrError, InputImageError
from cdsrcodec.imageio.reader import read_rgb
from cdsrcodec.imageio.writer import check_output
from cdsrcodec.training.patches import IMAGE_SUFFIXES

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Row = TypeVar("Row", bound=DataclassInstance)


def run_sweep(
    folder: Path, output: Path, measure: Callable[[str, NDArray[np.uint8]], Iterable[Row]]
) -> list[Row]:
    """Measure every picture of a folder; a line on stderr tells of each.

    Args:
        folder: its pictures are taken in the order of their names, subfolders are not searched.
        output: tab-separated table, rewritten; it has the rows of every finished picture
            even when the sweep is interrupted.
        measure: (file name, pixels (H, W, 3) uint8) -> the rows of that picture.

    Returns:
        All rows. In the table floats are cut to six significant digits.

    Raises:
        InputImageError: the folder has no pictures, or one that cannot be read.
        FileAccessError: the table cannot be written there.
    """
    check_output(output, None, overwrite=True)
    paths = find_images(folder)
    rows: list[Row] = []
    with output.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, dialect="excel-tab", lineterminator="\n")
        for number, path in enumerate(paths, 1):
            begin_s = time.monotonic()
            new = list(measure(path.name, read_rgb(path, max_pixels=Limits().max_pixels)))
            if not rows:
                table.writerow(field.name for field in fields(new[0]))
            table.writerows([_as_text(value) for value in astuple(row)] for row in new)
            file.flush()
            rows += new
            elapsed_s = time.monotonic() - begin_s
            sys.stderr.write(f"{number}/{len(paths)} {path.name}: {elapsed_s:.1f} s\n")
    return rows


def find_images(folder: Path) -> list[Path]:
    """The pictures of a folder, by name.

    Raises:
        InputImageError: it has none, or is no folder.
    """
    files = folder.iterdir() if folder.is_dir() else ()
    paths = sorted(p for p in files if p.suffix.lower() in IMAGE_SUFFIXES)
    if not paths:
        raise InputImageError(
            f"{folder}: not a folder with pictures. hint: {', '.join(sorted(IMAGE_SUFFIXES))}"
        )
    return paths


def _as_text(value: object) -> object:
    return f"{value:.6g}" if isinstance(value, float) else value


def exit_code(run: Callable[[], None]) -> int:
    """Run to the end: 0, or the code of the CdsrError that stopped it, told in a line on stderr."""
    try:
        run()
    except CdsrError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    return 0
