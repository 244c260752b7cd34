"""Hashes of files, for keys and reports."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path


@cache
def file_sha256(path: Path) -> str:
    """Hash of a file's content, in hex; once a process."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
