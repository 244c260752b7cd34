"""Finished units of work in a file, one line each: what makes a killed sweep go on."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

from cdsrcodec.errors import FileAccessError
from cdsrcodec.evaluation.bench.rows import Row


def read_journal(path: Path) -> dict[str, Row | None]:
    """The row of every finished unit by its key; nothing where there is no file.

    Lines that are not whole, as a killed process leaves one, and those of other versions
    count as not done.

    Raises:
        FileAccessError: the file cannot be read.
    """
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise FileAccessError(f"{path}: cannot be read: {error.strerror}") from error
    done: dict[str, Row | None] = {}
    for line in lines:
        try:
            entry = json.loads(line)
            done[entry["key"]] = None if entry["row"] is None else Row(**entry["row"])
        except (ValueError, TypeError, KeyError):
            continue
    return done


def append_to_journal(path: Path, key: str, row: Row | None) -> None:
    """Add the row of one finished unit, None where it has none.

    The line begins on a new one, so that what a killed process left of its last one
    spoils no other.

    Raises:
        FileAccessError: the file cannot be written.
    """
    entry = json.dumps({"key": key, "row": None if row is None else asdict(row)})
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(f"\n{entry}\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise FileAccessError(f"{path}: cannot be written: {error.strerror}") from error
