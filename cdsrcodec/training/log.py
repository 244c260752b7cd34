"""The log of a run, a table that goes on where the run does."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path

from cdsrcodec.imageio.writer import write_bytes
from cdsrcodec.training.storage import writing_errors

STEP = "step"


class RunLog:
    """A CSV file with a header line, and a row for some of the steps.

    Args:
        path: of the file, which need not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def add(self, row: Mapping[str, object]) -> None:
        """Append a row, whose first cell is STEP; all rows have the same cells.

        Raises:
            FileAccessError: the file cannot be written.
        """
        with writing_errors(self.path), self.path.open("a", newline="") as file:
            writer = csv.DictWriter(file, row)
            if file.tell() == 0:
                writer.writeheader()
            writer.writerow(row)

    def forget_after(self, step: int) -> None:
        """Drop the rows of later steps, which are taken again: a run goes on from its checkpoint.

        Raises:
            FileAccessError: the file cannot be written.
        """
        if not self.path.exists():
            return
        with self.path.open(newline="") as file:
            rows = list(csv.reader(file))
        kept = [row for row in rows if not _is_after(row, step)]
        if kept != rows:
            text = io.StringIO()
            csv.writer(text).writerows(kept)
            write_bytes(text.getvalue().encode(), self.path)


def _is_after(row: list[str], step: int) -> bool:
    return bool(row) and row[0].isdecimal() and int(row[0]) > step
