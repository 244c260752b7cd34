"""The name "-": standard input and output in the place of a file.

What comes in is put into a temporary file, and what goes out is copied from one when it is
whole: pictures are read with jumps, and a conversion that fails must write nothing.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cdsrcodec.cli.workers import Convert
from cdsrcodec.errors import CdsrError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

PIPE = Path("-")


def check_pipes(source: Path, target: Path) -> None:
    """Refuse a terminal at an end where bytes pass.

    Raises:
        click.UsageError: there is one.
    """
    if source == PIPE and sys.stdin.isatty():
        raise click.UsageError("standard input is a terminal. hint: pipe a file in, or name it")
    if target == PIPE and sys.stdout.isatty():
        raise click.UsageError("no binary data to a terminal. hint: redirect it, or name a file")


def convert_piped(
    convert: Convert, source: Path, target: Path, *, extension: str
) -> DataclassInstance:
    """Call convert(source, target) with temporary files in the place of "-".

    Args:
        convert: makes a file from a file.
        source: a file or "-".
        target: a file or "-".
        extension: of the file that goes to standard output, which may choose its format.

    Raises:
        CdsrError: as convert; what is wrong with a temporary file is said of "-".
        BrokenPipeError: nobody reads the output any more.
    """
    with tempfile.TemporaryDirectory(prefix="cdsr-") as folder:
        spool_in, spool_out = Path(folder, "in"), Path(folder, f"out.{extension}")
        if source == PIPE:
            with spool_in.open("wb") as file:
                shutil.copyfileobj(sys.stdin.buffer, file)
        try:
            report = convert(
                spool_in if source == PIPE else source, spool_out if target == PIPE else target
            )
        except CdsrError as error:
            message = str(error).replace(str(spool_in), str(PIPE))
            error.args = (message.replace(str(spool_out), str(PIPE)),)
            raise
        if target == PIPE:
            with spool_out.open("rb") as file:
                shutil.copyfileobj(file, sys.stdout.buffer)
            sys.stdout.buffer.flush()
        return report
