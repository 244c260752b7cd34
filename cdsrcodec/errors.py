"""Every exception of the package and the exit code that the command line gives it.

Click owns the codes 0 to 2 (2: wrong usage). A message is one line: what is
wrong, then "hint: " and what to do, where there is something to be done.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


class CdsrError(Exception):
    """Root of all errors; `exit_code` is the status the command line leaves with."""

    exit_code = 1


class InputImageError(CdsrError, ValueError):
    """The input is not a picture that can be coded."""

    exit_code = 3


class FormatError(CdsrError, ValueError):
    """Not a valid .cdsr stream; `offset` is the byte where parsing stopped."""

    exit_code = 4

    def __init__(self, message: str, *, offset: int) -> None:
        super().__init__(f"{message} (byte {offset})")
        self.offset = offset

    def __reduce__(self) -> tuple[object, ...]:
        """Pickled as other exceptions are, by a process pool for one, but made without `offset`."""
        return _remake, (type(self), *self.args), self.__dict__


def _remake(kind: type[FormatError], *args: object) -> FormatError:
    return kind.__new__(kind, *args)


class BadMagicError(FormatError):
    """The first bytes are not those of a .cdsr file."""


class UnsupportedVersionError(FormatError):
    """A later version of the format than this reader knows."""


class UnknownCriticalChunkError(FormatError):
    """A chunk that must be understood to decode, and is not."""


class TruncatedStreamError(FormatError):
    """The stream ends inside its header or a chunk."""


class ChecksumError(FormatError):
    """The byte checksum fails: the file is damaged or was cut short."""


class ModelError(CdsrError):
    """The model that wrote the file is unknown here, or its weights are others."""

    exit_code = 5


class DesyncError(CdsrError):
    """The bytes are intact but decode to other symbols than were encoded."""

    exit_code = 6


class OutputExistsError(CdsrError, FileExistsError):
    """The output exists and overwriting was not asked for."""

    exit_code = 7


class LimitError(CdsrError):
    """Beyond the limits of the format or of this reader: a size, or a target."""

    exit_code = 8


class FileAccessError(CdsrError, OSError):
    """A file cannot be read or written: permission, missing folder, full disk."""

    exit_code = 9


class DeviceError(CdsrError):
    """The device that was asked for is not there."""

    exit_code = 10


class TrainingError(CdsrError):
    """A training run cannot start or go on."""

    exit_code = 11


@contextmanager
def about(path: str | os.PathLike[str], kind: type[CdsrError] = CdsrError) -> Iterator[None]:
    """Begin the message of a CdsrError from within, of that kind, with the file it is about."""
    try:
        yield
    except kind as error:
        error.args = (f"{path}: {error}",)
        raise
