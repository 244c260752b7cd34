"""Which file of a batch goes where. Nothing is opened or made here, so nothing is half done.

A file that was named goes to DIR; one that was found in a folder goes to the same place
below DIR as it has below that folder. A template makes the name.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from string import Formatter

import click

from cdsrcodec.cli.places import Place, Url, find_below, is_folder, parse_place
from cdsrcodec.errors import FileAccessError

STREAM_SUFFIXES = frozenset({".cdsr"})
TEMPLATE_FIELDS = ("stem", "name", "ext", "parent")


@dataclass(frozen=True)
class Job:
    """One file to convert: `source` to `target`."""

    source: Place
    target: Place


def plan_jobs(
    inputs: Iterable[Place],
    folder: Place,
    *,
    template: str,
    suffixes: frozenset[str],
    recursive: bool,
) -> list[Job]:
    """The files of a batch in a fixed order: as named, folders sorted by name.

    Args:
        inputs: files, and with `recursive` folders; paths and URLs.
        folder: of the outputs.
        template: name of an output below its folder, checked by `check_template`.
        suffixes: extensions, in small letters, of the files that are taken from folders.
        recursive: take the files of folders, all levels; no hidden ones, no linked folders.

    Raises:
        click.UsageError: a folder without `recursive`, an output that would lie outside
            of `folder`, two inputs with one output, or an output that is an input too.
        FileAccessError: a folder cannot be read.
    """
    jobs = {
        (_absolute(source), place): Job(source, folder / place / _name(template, source))
        for source, place in _find_files(inputs, suffixes, recursive=recursive)
    }
    _refuse_collisions(jobs.values())
    return list(jobs.values())


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
    for _, field, spec, conversion in parts:
        if field is not None and (field not in fields or spec or conversion):
            raise click.BadParameter(
                f"'{template}': no field {{{field}}}. hint: fields are {known}"
            )
    return template


def split_list(data: bytes) -> list[Place]:
    """The names of a --files-from list: NUL-separated if it holds a NUL, else one a line."""
    if b"\0" in data:
        names = data.split(b"\0")
    else:
        names = [line.removesuffix(b"\r") for line in data.split(b"\n")]
    return [parse_place(os.fsdecode(name)) for name in names if name]


def _find_files(
    inputs: Iterable[Place], suffixes: frozenset[str], *, recursive: bool
) -> Iterator[tuple[Place, PurePath]]:
    """Each file, and the place of its folder below the input that it comes from."""
    for place in inputs:
        # What is not asked for is not looked at: every look at a URL goes over the network.
        if (isinstance(place, Url) and not recursive) or not is_folder(place):
            yield place, PurePath()
        elif recursive:
            below = find_below(place) if isinstance(place, Url) else _walk(place)
            for name in below:
                is_hidden = any(part.startswith(".") for part in name.parts)
                if not is_hidden and name.suffix.lower() in suffixes:
                    yield place / name, name.parent
        else:
            raise click.UsageError(f"{place}: a directory. hint: -r takes the files in it")


def _walk(top: Path) -> Iterator[PurePath]:
    """The files below a folder, none of hidden or linked folders, relative to it."""
    for folder, subfolders, names in os.walk(top, onerror=_raise_unreadable):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        yield from (Path(folder, name).relative_to(top) for name in sorted(names))


def _raise_unreadable(error: OSError) -> None:
    raise FileAccessError(f"{error.filename}: cannot be read: {error.strerror}") from error


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
    sources = {_absolute(job.source) for job in jobs}
    makers: dict[Place, Place] = {}
    for job in jobs:
        target = _absolute(job.target)
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


def _absolute(place: Place) -> Place:
    """The path from the root, as it is named: a link is not the file that it points to."""
    if isinstance(place, Url):
        return place
    return Path(os.path.normcase(os.path.abspath(place)))  # noqa: PTH100 - resolve() follows links
