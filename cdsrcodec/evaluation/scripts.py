"""What the modules share that are run by `python -m`: how they end."""

from __future__ import annotations

import sys
from collections.abc import Callable

from cdsrcodec.errors import CdsrError


def exit_code(run: Callable[[], int | None]) -> int:
    """Run to the end and give its result, 0 for None.

    A CdsrError that stops it is told in a line on stderr, and its code is the result.
    """
    try:
        return run() or 0
    except CdsrError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
