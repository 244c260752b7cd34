"""Standard streams that are closed (`<&-`, `>&-`, `2>&-`), or cannot take what is written.

Python has None in the place of a closed one, and the next file to be opened gets its number:
what a library prints would be written into that file.
"""

from __future__ import annotations

import os
import sys
from io import TextIOWrapper

_ESCAPES = "backslashreplace"
LAST_NUMBER = 2
"""The streams have the numbers from 0 to this one."""
# How the null device is opened in the place of each, and how Python uses it.
_STREAMS = (("stdin", os.O_WRONLY, "r"), ("stdout", os.O_RDONLY, "w"), ("stderr", os.O_WRONLY, "w"))


def open_missing_streams() -> None:
    """Open what is closed.

    Reading such an input and writing such an output fail like those of other programs, so that
    nothing is not taken for data. What is told on such a stderr is lost.
    """
    for name, flags, mode in _STREAMS:
        if getattr(sys, name) is None:
            number = os.open(os.devnull, flags)  # the lowest one that is free, that of the stream
            if number <= LAST_NUMBER:
                os.set_inheritable(number, True)  # workers have the same streams
            stream = os.fdopen(number, mode, encoding="utf-8", errors=_ESCAPES)
            setattr(sys, name, stream)


def escape_what_no_encoding_takes() -> None:
    """Let stdout show characters that its encoding lacks as escapes, as stderr does.

    Names of files may have them; in the locale "C" they are already written as they came.
    """
    if isinstance(sys.stdout, TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors=_ESCAPES)


def forget_unwritten(*names: str) -> None:
    """Let go of what streams, "stdout" or "stderr", still hold because it cannot be written.

    At its very end Python would try once more, complain, and leave with exit code 120.
    """
    for name in names:
        try:
            getattr(sys, name).flush()
        except OSError:
            setattr(sys, name, None)
