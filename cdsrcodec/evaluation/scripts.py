"""What the modules share that are run by `python -m`: qualities, and how they end."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable

from cdsrcodec.errors import CdsrError, ModelError
from cdsrcodec.models.registry import CODECS


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
        ModelError: one is below its lowest quality or above its highest.
    """
    low, high = CODECS[codec].qualities[0], CODECS[codec].qualities[-1]
    for quality in qualities:
        if not low <= quality <= high:
            raise ModelError(f"{codec} has no quality {quality:g}. hint: name {low:g} to {high:g}")
