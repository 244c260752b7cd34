"""What the modules share that are run by `python -m`: what they print, and how they end."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from itertools import chain

from cdsrcodec.errors import CdsrError, ModelError
from cdsrcodec.models.registry import check_settings


def exit_code(run: Callable[[], int | None]) -> int:
    """Run to the end and give its result, 0 for None.

    A CdsrError that stops it is told in a line on stderr, and its code is the result.
    """
    try:
        return run() or 0
    except CdsrError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code


def require_qualities(codec: str, qualities: Iterable[float]) -> None:
    """Refuse what a codec of the registry cannot code at.

    Raises:
        ModelError: it has no such quality.
    """
    for quality in qualities:
        try:
            check_settings(codec, quality=quality)
        except ValueError as error:
            raise ModelError(f"{codec}: {error}. hint: name other --qualities") from error


def print_table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """Tab-separated lines on stdout, each as soon as it is known."""
    for row in chain([columns], rows):
        sys.stdout.write("\t".join(row) + "\n")
        sys.stdout.flush()
