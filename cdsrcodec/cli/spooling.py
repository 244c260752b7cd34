"""Ends of a conversion that are no paths: "-" for standard input and output, and URLs.

What comes in is put into a temporary file, and what goes out is copied from one when it is
whole: pictures are read with jumps, and a conversion that fails must write nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from cdsrcodec.cli.places import Place, Url, check_free, check_writable, exists, fetch, store
from cdsrcodec.errors import CdsrError, FileAccessError, OutputExistsError

if TYPE_CHECKING:
    from tempfile import TemporaryDirectory

    from _typeshed import DataclassInstance, SupportsRead

    from cdsrcodec.cli.engines.outcomes import Convert

PIPE = Path("-")


def check_pipes(source: Place, target: Place) -> None:
    """Refuse a terminal at an end where bytes pass.

    Raises:
        click.UsageError: there is one.
    """
    _check_source(source)
    if target == PIPE and sys.stdout.isatty():
        raise click.UsageError("no binary data to a terminal. hint: redirect it, or name a file")


def _check_source(source: Place) -> None:
    if source == PIPE and sys.stdin.isatty():
        raise click.UsageError("standard input is a terminal. hint: pipe a file in, or name it")


def is_spooled(place: Place) -> bool:
    """Whether a temporary file has to stand in for it."""
    return place == PIPE or isinstance(place, Url)


@contextmanager
def spooled(source: Place) -> Iterator[Path]:
    """A file to be read: the source itself, or within the context one that stands in for it.

    Raises:
        click.UsageError: standard input is a terminal.
        CdsrError: of the context, said of the source. FileAccessError: it cannot be read.
    """
    _check_source(source)
    if isinstance(source, Path) and not is_spooled(source):
        yield source
        return
    with _temporary_folder() as folder:
        spool_in = Path(folder, "in")
        _fill(spool_in, source)
        with _said_of({spool_in: source}):
            yield spool_in


def _temporary_folder() -> TemporaryDirectory[str]:
    from tempfile import TemporaryDirectory  # takes its time, and files on this machine need none

    try:
        return TemporaryDirectory(prefix="cdsr-")
    except OSError as error:
        raise FileAccessError(
            f"no temporary folder can be made: {error.strerror}. hint: TMPDIR names where"
        ) from error


@contextmanager
def _said_of(places: dict[Path, Place]) -> Iterator[None]:
    """Say what is wrong with a temporary file of what it stands for."""
    try:
        yield
    except CdsrError as error:
        message = str(error)
        for temporary, place in places.items():
            message = message.replace(str(temporary), str(place))
        error.args = (message,)
        raise


def convert_spooled(
    convert: Convert,
    source: Place,
    target: Place,
    *,
    extension: str,
    overwrite: bool,
    reads_target: bool = False,
) -> DataclassInstance:
    """Call convert(source, target) with temporary files in the place of "-" and URLs.

    Args:
        convert: makes a file from a file.
        source: a file, a URL or "-".
        target: a file, a URL or "-".
        extension: of the file that goes to standard output, which may choose its format.
        overwrite: replace an existing target.
        reads_target: convert looks at an existing target, which is fetched for it.

    Raises:
        CdsrError: as convert; what is wrong with a temporary file is said of what it stands
            for. FileAccessError, OutputExistsError: about a URL, or the temporary files.
        BrokenPipeError: nobody reads the output any more.
    """
    if isinstance(target, Url):
        if target == source:
            raise OutputExistsError(
                f"{target}: the output is the input itself. hint: name another file"
            )
        check_writable(target)
        check_free(target, overwrite=overwrite)
    suffix = f".{extension}" if target == PIPE else target.suffix
    with _temporary_folder() as folder:
        spool_in, spool_out = Path(folder, "in"), Path(folder, f"out{suffix}")
        _fill(spool_in, source)
        if reads_target and isinstance(target, Url) and exists(target):
            fetch(target, spool_out)
        with _said_of({spool_in: source, spool_out: target}):
            report = convert(
                spool_in if is_spooled(source) else source,
                spool_out if is_spooled(target) else target,
                overwrite=overwrite,
            )
        _pour_out(spool_out, target, overwrite=overwrite)
        return report


def _fill(spool_in: Path, source: Place) -> None:
    if isinstance(source, Url):
        fetch(source, spool_in)
    elif source == PIPE:
        try:
            with spool_in.open("wb") as file:
                _copy(_StandardInput(), file)
        except CdsrError:
            raise
        except OSError as error:
            raise FileAccessError(
                f"{PIPE}: cannot be put into a temporary file: {error.strerror}. "
                "hint: TMPDIR names the folder of such files"
            ) from error


class _StandardInput:
    """Standard input, of which it is said if it cannot be read."""

    def read(self, size: int = -1) -> bytes:
        """The next bytes, at most so many or all; none at its end."""
        try:
            return sys.stdin.buffer.read(size)
        except OSError as error:
            raise FileAccessError(f"{PIPE}: cannot be read: {error.strerror}") from error


def _pour_out(spool_out: Path, target: Place, *, overwrite: bool) -> None:
    if isinstance(target, Url):
        store(spool_out, target, overwrite=overwrite)
    elif target == PIPE:
        try:
            with spool_out.open("rb") as file:
                _copy(file, sys.stdout.buffer)
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise FileAccessError(f"{PIPE}: cannot be written: {error.strerror}") from error


def _copy(source: SupportsRead[bytes], target: BinaryIO) -> None:
    from shutil import copyfileobj  # as tempfile

    copyfileobj(source, target)
