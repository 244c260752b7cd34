"""Where inputs and outputs lie: paths of this machine, and URLs that fsspec reaches.

A URL is `s3://bucket/folder/cat.png`, `memory://cat.png` and so on, whatever fsspec has a
package for; of `file://` comes a path. Whole files are fetched and stored.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath
from typing import Any, TypeAlias

import click

from cdsrcodec.errors import CdsrError, FileAccessError, OutputExistsError
from cdsrcodec.imageio import folders

_URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)  # C:// is a drive, no scheme
_FILE = "file://"
_THIS_MACHINE = {"", "localhost"}
_WEB = {"http", "https"}
_PACKAGE_HINT = "hint: pip install that, or let another program copy the file, as curl does"
_EMPTY = "an empty name. hint: is a variable of the shell not set?"


@dataclass(frozen=True)
class Url:
    """A file or folder that is no path of this machine, with as much of Path as a batch needs."""

    text: str

    def __str__(self) -> str:
        return self.text

    def __truediv__(self, below: PurePath | str) -> Url:
        place = PurePath(below).as_posix()
        slash = "" if self.text.endswith("/") else "/"
        return self if place == "." else Url(f"{self.text}{slash}{place}")

    @property
    def name(self) -> str:
        """What stands behind the last slash, or the bucket."""
        return self._path.name

    @property
    def stem(self) -> str:
        """The name without its extension."""
        return self._path.stem

    @property
    def suffix(self) -> str:
        """The extension with its dot."""
        return self._path.suffix

    @property
    def parent(self) -> Url:
        """The folder, or the bucket, that it is in."""
        scheme, _, path = self.text.partition("://")
        return Url(f"{scheme}://{path.rstrip('/').rpartition('/')[0]}")

    @property
    def _path(self) -> PurePosixPath:
        return PurePosixPath(self.text.partition("://")[2])


Place: TypeAlias = Path | Url


def parse_place(text: str) -> Place:
    """A path, or a URL; "-" is the path that stands for a pipe, "./-" is a file.

    Raises:
        click.BadParameter: an empty name, or a file:// URL that names no file of this machine.
    """
    if not text:  # to pathlib the current folder
        raise click.BadParameter(_EMPTY)
    if not text.lower().startswith(_FILE):
        if _URL.match(text):
            return Url(text)
        local = Path(text)
        # pathlib takes "./-" for the same.
        return local.absolute() if str(local) == "-" != text else local
    from urllib.request import url2pathname  # takes its time, and few need it

    # Not by urlsplit, which would cut names at # and ?.
    host, _, path = text[len(_FILE) :].partition("/")
    name = url2pathname(f"/{path}")
    if host.lower() not in _THIS_MACHINE or "\0" in name:
        raise click.BadParameter(f"{text}: no file of this machine. hint: file:///FOLDER/NAME")
    return Path(name)


class FileType(click.Path):
    """The type of arguments that are paths of this machine, whether they are there or not."""

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> str | bytes | os.PathLike[str]:
        """A path of what was given."""
        if not os.fspath(value):
            raise click.BadParameter(_EMPTY, ctx, param)
        return super().convert(value, param, ctx)


class PlaceType(click.Path):
    """The type of arguments that are files, here or elsewhere; shells complete those here."""

    def convert(  # type: ignore[override]
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Place:
        """A path or a URL of what was given."""
        place = parse_place(os.fsdecode(value))
        if isinstance(place, Path):
            super().convert(place, param, ctx)  # as far as anything is checked
        return place


def parse_file(text: str) -> Place:
    """A path or a URL of a file to be written; of a slash at its end a path keeps nothing.

    Raises:
        FileAccessError: the name of a folder: it ends in a slash.
        click.BadParameter: as parse_place.
    """
    place = parse_place(text)
    separators = ("/",) if isinstance(place, Url) else ("/", os.sep)
    if not text.endswith(separators):
        return place
    if is_folder(place):
        raise FileAccessError(f"{text}: a directory. hint: name a file in it")
    raise FileAccessError(
        f"{text}: no such folder. hint: create it, or use -o {text.rstrip('/' + os.sep)}"
    )


def exists(place: Place) -> bool:
    """Whether there is anything of this name; a broken link is something.

    Raises:
        FileAccessError: that cannot be found out.
    """
    if isinstance(place, Path):
        return os.path.lexists(place)
    with _access_errors(place, "reached"):
        system, path = _system_of(place)
        return bool(system.exists(path))


def is_folder(place: Place) -> bool:
    """Whether it is a folder that is there.

    Raises:
        FileAccessError: that cannot be found out of a URL.
    """
    if isinstance(place, Path):
        return os.path.isdir(place)  # noqa: PTH112 - is_dir() raises below a closed folder
    with _access_errors(place, "read"):
        system, path = _system_of(place)
        return bool(system.isdir(path))


def is_endless(place: Place) -> bool:
    """Whether it is a pipe, socket or device, which reading may wait for without end."""
    if isinstance(place, Path):
        with suppress(OSError):  # of a file that is not there, reading says so
            mode = place.stat().st_mode
            return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))
    return False


def find_below(top: Url) -> list[PurePosixPath]:
    """All files of a folder, at any depth, relative to it, in the order of their names.

    Raises:
        FileAccessError: it cannot be read.
    """
    with _access_errors(top, "read"):
        system, path = _system_of(top)
        return sorted(PurePosixPath(name).relative_to(path) for name in system.find(path))


def make_folder(folder: Place) -> None:
    """Make a folder and what it lies in, if they are missing.

    Raises:
        FileAccessError: it cannot be made.
    """
    if isinstance(folder, Path):
        folders.make_folder(folder)
        return
    check_writable(folder)
    with _access_errors(folder, "made"):
        system, path = _system_of(folder)
        system.makedirs(path, exist_ok=True)


def fetch(source: Url, target: Path) -> None:
    """Copy a file from a URL.

    Raises:
        FileAccessError: it is not there, or cannot be read or written here.
    """
    with _access_errors(source, "read"):
        system, path = _system_of(source)
        system.get_file(path, str(target))


def check_writable(target: Url) -> None:
    """Refuse an output on a web server before the work for it.

    Raises:
        FileAccessError: it is on one.
    """
    if target.text.partition("://")[0].lower() in _WEB:
        raise FileAccessError(
            f"{target}: cannot be written: files are only fetched from web servers. "
            "hint: name a file, or pipe - to a program that uploads it"
        )


def check_free(target: Url, *, overwrite: bool) -> None:
    """Refuse an output that is there already.

    Raises:
        OutputExistsError: it exists, and overwrite is False.
        FileAccessError: that cannot be found out.
    """
    if not overwrite and exists(target):
        raise OutputExistsError(f"{target}: exists already. hint: -f replaces it")


def store(source: Path, target: Url, *, overwrite: bool) -> None:
    """Copy a file to a URL, where it appears whole or not at all.

    It is uploaded under a temporary name and renamed, which object stores do by a copy of
    their own. Only a process that is killed can leave the temporary one behind. That there
    is no such file yet is asked once more right before the renaming: nothing that all file
    systems have does both in one.

    Raises:
        OutputExistsError: it exists, and overwrite is False.
        FileAccessError: it cannot be written.
    """
    import secrets

    with _access_errors(target, "written"):
        system, path = _system_of(target)
        temporary = str(PurePosixPath(path).with_name(f".cdsr-{secrets.token_hex(8)}.part"))
        try:
            system.put_file(str(source), temporary)
            system.invalidate_cache()  # the listings that it remembers may be old
            check_free(target, overwrite=overwrite)
            system.mv(temporary, path)
        except BaseException:
            with suppress(Exception):  # that it cannot be removed is no news after this
                system.rm_file(temporary)
            raise


def _system_of(url: Url) -> tuple[Any, str]:
    """The file system of a URL, and its path there."""
    from fsspec.core import url_to_fs

    system, path = url_to_fs(url.text)
    return system, str(path)


@contextmanager
def _access_errors(place: Place, done: str) -> Iterator[None]:
    """Turn what a file system raises into FileAccessError; those of URLs raise all there is."""
    try:
        yield
    except (CdsrError, MemoryError):
        raise
    except Exception as error:
        reason = getattr(error, "strerror", None)
        if isinstance(error, FileNotFoundError):
            reason = "no such file"
        if (status := getattr(error, "status", None)) is not None:  # of a web server
            reason = f"the server says {status} {getattr(error, 'message', '')}"
        reason = reason or " ".join(str(error).split()) or type(error).__name__
        hint = f". {_PACKAGE_HINT}" if isinstance(error, ImportError) else ""
        raise FileAccessError(f"{place}: cannot be {done}: {reason}{hint}") from error
