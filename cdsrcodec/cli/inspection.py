"""What info and verify share: .cdsr files that are named or found in folders, one by one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cdsrcodec.cli import failures
from cdsrcodec.cli.places import Place, is_folder
from cdsrcodec.cli.plan import STREAMS, find_files
from cdsrcodec.cli.spooling import PIPE, spooled
from cdsrcodec.errors import CdsrError, FileAccessError


def inspect_all(
    places: tuple[Place, ...], look: Callable[[Place, Path], None], *, recursive: bool
) -> int:
    """Look at every file, whatever is wrong with others; gives the code of the first error.

    Args:
        places: files, and with `recursive` folders; "-" is standard input.
        look: called with the name of a file and a path to read it from.
        recursive: take the .cdsr files of folders too, as batches do.

    Raises:
        click.UsageError: standard input is a terminal.
    """
    errors: list[BaseException] = []
    if recursive:
        found = find_files(places, STREAMS, recursive=True)
        for _, _, error in found.unreadable:
            errors.append(error)
            failures.report(error, str(error))
        for folder in found.empty:
            failures.say(failures.printable(f"warning: {folder}: no {STREAMS.name} in it"))
        places = tuple(place for place, _ in found.files)
    for place in places:
        try:
            _refuse_folder(place)
            with spooled(place) as path:
                look(place, path)
        except CdsrError as error:
            errors.append(error)
            failures.report(error, str(error))
        except MemoryError as error:  # a few bytes may claim a large picture; others need not
            errors.append(error)
            failures.report(error, f"{place}: {failures.OUT_OF_MEMORY}")
    if not errors:
        return 0
    first = errors[0]
    return first.exit_code if isinstance(first, CdsrError) else failures.OUT_OF_MEMORY_EXIT_CODE


def _refuse_folder(place: Place) -> None:
    """Say of a folder what takes the files in it; of a URL, which is not looked at, reading will.

    Raises:
        FileAccessError: it is one.
    """
    if isinstance(place, Path) and place != PIPE and is_folder(place):
        raise FileAccessError(f"{place}: a directory. hint: -r takes the .cdsr files in it")
