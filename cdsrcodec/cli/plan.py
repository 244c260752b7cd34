"""Which file of a batch goes where. Nothing is opened or made here, so nothing is half done.

A file that was named goes to DIR; one that was found in a folder goes to the same place
below DIR as it has below that folder. A template makes the name.
"""

from __future__ import annotations

import os
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from string import Formatter

import click

from cdsrcodec.cli.places import Place, Url, find_below, is_endless, is_folder, parse_place
from cdsrcodec.errors import FileAccessError
from cdsrcodec.imageio.suffixes import PICTURE_SUFFIXES, UNREADABLE_SUFFIXES

TEMPLATE_FIELDS = ("stem", "name", "ext", "parent")


@dataclass(frozen=True)
class Job:
    """One file to convert: `source` to `target`.

    Attributes:
        source: the input.
        target: the output.
        skips_existing: a target that another run has made by then counts as done.
    """

    source: Place
    target: Place
    skips_existing: bool = False


@dataclass(frozen=True)
class Kind:
    """Which files are taken from folders.

    Attributes:
        name: of several.
        suffixes: their extensions, in small letters.
        unreadable: those of files that users take for the same, but that cannot be read here.
        is_made: outputs are of this kind too, and in a folder not to be taken for inputs.
    """

    name: str
    suffixes: frozenset[str]
    unreadable: frozenset[str] = frozenset()
    is_made: bool = False


PICTURES = Kind("pictures", PICTURE_SUFFIXES, UNREADABLE_SUFFIXES)
ENLARGEABLE = replace(PICTURES, is_made=True)
STREAMS = Kind(".cdsr files", frozenset({".cdsr"}))


@dataclass(frozen=True)
class Plan:
    """What is to be done, and what was found beside it.

    Attributes:
        jobs: in a fixed order: as named, folders sorted by name.
        unreadable: folders that cannot be read (a URL may be a file too), with the folder of their
            outputs, and why.
        left_out: files of folders that cannot be read here, by their extensions.
        empty: folders that were named and have nothing of all that.
    """

    jobs: list[Job]
    unreadable: list[tuple[Job, FileAccessError]]
    left_out: list[Place]
    empty: list[Place]


def plan_jobs(
    inputs: Iterable[Place],
    folder: Place,
    *,
    template: str,
    kind: Kind,
    recursive: bool,
) -> Plan:
    """The files of a batch, and where they go.

    Args:
        inputs: files, and with `recursive` folders; paths and URLs.
        folder: of the outputs.
        template: name of an output below its folder, checked by `check_template`.
        kind: which files are taken from folders.
        recursive: take the files of folders, all levels; no hidden ones, no linked folders, no
            pipes and devices, and where outputs are of the same kind, not `folder`.

    Raises:
        click.UsageError: a folder without `recursive`, an output that would lie outside
            of `folder`, two inputs with one output, or an output that is an input too.
    """
    closed = folder if kind.is_made else None
    found = find_files(inputs, kind, closed, recursive=recursive)
    jobs = {
        (_absolute(source), place): Job(source, folder / place / _name(template, source))
        for source, place in found.files
    }
    _refuse_collisions(jobs.values())
    unreadable = [(Job(source, folder / place), error) for source, place, error in found.unreadable]
    return Plan(list(jobs.values()), unreadable, found.left_out, found.empty)


def check_template(template: str, fields: Sequence[str] = TEMPLATE_FIELDS) -> str:
    """The template itself, if it holds fields that are known and nothing else in braces.

    Raises:
        click.BadParameter: anything else.
    """
    known = " ".join(f"{{{field}}}" for field in fields)
    try:
        parts = list(Formatter().parse(template))
    except ValueError as error:
        raise click.BadParameter(f"'{template}': {error}. hint: fields are {known}") from error
    for _, name, spec, conversion in parts:
        if name is not None and (name not in fields or spec or conversion):
            raise click.BadParameter(f"'{template}': no field {{{name}}}. hint: fields are {known}")
    return template


def split_list(data: bytes) -> list[Place]:
    """The names of a --files-from list: NUL-separated if it holds a NUL, else one a line.

    Editors of Windows begin a text with a byte order mark, and its shell writes UTF-16.
    """
    if data.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        data = data.decode("utf-16", "replace").encode()
    data = data.removeprefix(BOM_UTF8)
    if b"\0" in data:
        names = data.split(b"\0")
    else:
        names = [line.removesuffix(b"\r") for line in data.split(b"\n")]
    return [parse_place(os.fsdecode(name)) for name in names if name]


@dataclass(frozen=True)
class Found:
    """What the inputs are or hold, with the place of its folder below the input it comes from.

    Attributes:
        files: in a fixed order: as named, folders sorted by name.
        unreadable: folders that cannot be read, and why.
        left_out: files of folders that cannot be read here, by their extensions.
        empty: folders that were named and have nothing of all that.
    """

    files: list[tuple[Place, PurePath]] = field(default_factory=list)
    unreadable: list[tuple[Place, PurePath, FileAccessError]] = field(default_factory=list)
    left_out: list[Place] = field(default_factory=list)
    empty: list[Place] = field(default_factory=list)

    def count(self) -> int:
        """How many there are of all but empty folders."""
        return len(self.files) + len(self.unreadable) + len(self.left_out)


def find_files(
    inputs: Iterable[Place], kind: Kind, closed: Place | None = None, *, recursive: bool
) -> Found:
    """The files that are named, and those of folders.

    Args:
        inputs: files, and with `recursive` folders; paths and URLs.
        kind: which files are taken from folders.
        closed: a folder from which none are taken.
        recursive: as plan_jobs.

    Raises:
        click.UsageError: a folder without `recursive`.
    """
    found = Found()
    for place in inputs:
        try:
            _look_at(place, kind, closed, found, recursive=recursive)
        except FileAccessError as error:
            found.unreadable.append((place, PurePath(), error))
    return found


def _look_at(
    place: Place, kind: Kind, closed: Place | None, found: Found, *, recursive: bool
) -> None:
    """Add an input, or what is below it."""
    # What is not asked for is not looked at: every look at a URL goes over the network.
    if (isinstance(place, Url) and not recursive) or not is_folder(place):
        found.files.append((place, PurePath()))
    elif recursive:
        count = found.count()
        _search(place, kind, closed, found)
        if found.count() == count:
            found.empty.append(place)
    else:
        raise click.UsageError(f"{place}: a directory. hint: -r takes the files in it")


def _search(top: Place, kind: Kind, closed: Place | None, found: Found) -> None:
    """Add what is below a folder, but for what is in a closed one below it."""
    names = find_below(top) if isinstance(top, Url) else _walk(top, closed, found)
    for name in names:
        suffix = name.suffix.lower()
        if any(part.startswith(".") for part in name.parts):
            continue
        if isinstance(top, Url) and closed in {top / folder for folder in name.parents[:-1]}:
            continue
        if suffix in kind.suffixes and not is_endless(top / name):
            found.files.append((top / name, name.parent))
        elif suffix in kind.unreadable:
            found.left_out.append(top / name)


def _walk(top: Path, closed: Place | None, found: Found) -> Iterator[PurePath]:
    """The files below a folder, none of hidden, linked or closed folders, relative to it."""

    def note_unreadable(error: OSError) -> None:
        """Keep the error of a folder; the walk goes on."""
        folder = Path(error.filename or top)
        failure = FileAccessError(f"{folder}: cannot be read: {error.strerror}")
        failure.__cause__ = error
        found.unreadable.append((folder, folder.relative_to(top), failure))

    closed_path = os.path.realpath(closed) if isinstance(closed, Path) else None
    for folder, subfolders, names in os.walk(top, onerror=note_unreadable):
        open_ones = (name for name in subfolders if not name.startswith("."))
        if closed_path is not None:
            open_ones = (n for n in open_ones if os.path.realpath(Path(folder, n)) != closed_path)
        subfolders[:] = sorted(open_ones)
        yield from (Path(folder, name).relative_to(top) for name in sorted(names))


def _name(template: str, source: Place) -> PurePath:
    """The output's name by the template, a path below the folder of the output."""
    absolute = _absolute(source)  # so that every file has a parent with a name
    name = template.format(
        stem=absolute.stem,
        name=absolute.name,
        ext=absolute.suffix.removeprefix("."),
        parent=absolute.parent.name,
    )
    path = PurePath(name)
    if path.is_absolute() or not path.name or ".." in path.parts or name.endswith("/"):
        raise click.UsageError(
            f"--template makes '{name}' of {source}, which is no name below "
            "the folder. hint: neither / at its ends nor .. in it"
        )
    return path


def _refuse_collisions(jobs: Iterable[Job]) -> None:
    sources = {_entry(job.source) for job in jobs}
    makers: dict[Place, Place] = {}
    for job in jobs:
        target = _entry(job.target)
        if target in makers:
            raise click.UsageError(
                f"{makers[target]} and {job.source} would both become {job.target}. "
                "hint: a --template with {parent} or {ext} keeps them apart"
            )
        if target in sources:
            raise click.UsageError(
                f"{job.target} is an input of the batch and would be replaced. "
                "hint: name another folder or --template"
            )
        makers[target] = job.source


def _entry(place: Place) -> Place:
    """The one name of what lies there, whichever links lead to its folder.

    A file that is a link is not the one that it points to: an output would replace the link.
    """
    if isinstance(place, Url):
        return place
    return Path(os.path.normcase(Path(os.path.realpath(place.parent), place.name)))


def _absolute(place: Place) -> Place:
    """The path from the root, as it is named."""
    if isinstance(place, Url):
        return place
    return Path(os.path.normcase(os.path.abspath(place)))  # noqa: PTH100 - resolve() follows links
