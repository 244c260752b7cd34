"""How models are installed and removed (models.store says where).

A folder appears and goes as a whole, so that no reader ever finds half of one.
"""

from __future__ import annotations

import errno
import filecmp
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cdsrcodec.errors import CdsrError, FileAccessError
from cdsrcodec.models.store import HIDDEN, HOME_VARIABLE, models_folder

_OCCUPIED = {errno.ENOTEMPTY, errno.EEXIST}  # there is a folder with something in it


@contextmanager
def new_folder() -> Iterator[Path]:
    """An empty hidden folder beside the models, for `install`; gone at the end if still there.

    Raises:
        FileAccessError: it cannot be made, or an OSError came up within.
    """
    folder = models_folder() / f"{HIDDEN}new-{secrets.token_hex(8)}"
    try:
        folder.mkdir(parents=True)
        yield folder
    except CdsrError:
        raise
    except OSError as error:
        raise FileAccessError(
            f"{error.filename or folder}: cannot be written: {error.strerror or error}. "
            f"hint: make room, or name another folder in {HOME_VARIABLE}"
        ) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def install(folder: Path, model: str) -> Path:
    """Rename a finished new_folder into place; an installed model of that name gives way.

    One with the same files stays, and so does one that another process installs meanwhile: of
    this name it can be no other.

    Raises:
        OSError: it cannot be renamed; what was installed still is.
    """
    target = models_folder() / model
    if _has_same_files(folder, target):
        return target
    with _vacated(target):
        try:
            folder.rename(target)
        except OSError as error:
            if error.errno not in _OCCUPIED:
                raise
    return target


@contextmanager
def _vacated(target: Path) -> Iterator[None]:
    """Within, nothing is installed there; what was comes back if something fails."""
    old = None
    if target.is_dir():
        with suppress(FileNotFoundError):  # another process has just hidden it
            old = _hide(target)
    try:
        yield
    except BaseException:
        if old is not None:
            old.rename(target)
        raise
    if old is not None:
        shutil.rmtree(old)


def _has_same_files(folder: Path, other: Path) -> bool:
    names = {path.name for path in folder.iterdir()}
    try:
        if {path.name for path in other.iterdir()} != names:
            return False
    except (FileNotFoundError, NotADirectoryError):
        return False
    _, different, unread = filecmp.cmpfiles(folder, other, names, shallow=False)
    return not different and not unread


def remove(model: str) -> None:
    """Remove an installed model.

    Raises:
        FileAccessError: it cannot be removed.
    """
    folder = models_folder() / model
    try:
        shutil.rmtree(_hide(folder))
    except OSError as error:
        raise FileAccessError(f"{folder}: cannot be removed: {error.strerror}") from error


def _hide(folder: Path) -> Path:
    return folder.rename(folder.with_name(f"{HIDDEN}old-{secrets.token_hex(8)}"))
