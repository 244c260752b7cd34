"""The man pages, made of what --help says; `python -m cdsrcodec.cli.manual FOLDER` writes them.

The package click-man would do it too, but loses lines that begin with a dot, the exit codes,
and what Click is told to leave unwrapped.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path

import click

import cdsrcodec
from cdsrcodec.cli.main import cli

VERBATIM = "\b"  # on a line of its own, Click's mark of a paragraph that is not wrapped


def make_pages(program: click.Command, name: str, version: str) -> dict[str, str]:
    """The page of a command, and of all commands in it, by the names of their files."""
    return {
        f"{ctx.command_path.replace(' ', '-')}.1": "\n".join(_page(ctx, version)) + "\n"
        for ctx in _contexts(click.Context(program, info_name=name))
    }


def _contexts(ctx: click.Context) -> Iterator[click.Context]:
    yield ctx
    for name, command in _members(ctx):
        yield from _contexts(click.Context(command, info_name=name, parent=ctx))


def _members(ctx: click.Context) -> Iterator[tuple[str, click.Command]]:
    """The commands of a group, by name; none of what is no group."""
    if isinstance(ctx.command, click.Group):
        for name in ctx.command.list_commands(ctx):
            command = ctx.command.get_command(ctx, name)
            assert command is not None, name
            yield name, command


def _page(ctx: click.Context, version: str) -> Iterator[str]:
    command, title = ctx.command, ctx.command_path.replace(" ", "-")
    root = ctx.find_root().info_name
    yield f'.TH "{_text(title.upper())}" 1 "" "{root} {version}"'
    yield from (".SH NAME", f"{_text(title)} \\- {_text(_first_sentence(command).rstrip('.'))}")
    usage = " ".join(command.collect_usage_pieces(ctx))
    yield from (".SH SYNOPSIS", f".B {_text(ctx.command_path)}", _text(usage))
    yield ".SH DESCRIPTION"
    yield from _paragraphs(command.help or "")
    yield ".SH OPTIONS"
    for option in command.get_params(ctx):
        record = option.get_help_record(ctx) if isinstance(option, click.Option) else None
        if record is not None:
            yield from (".TP", f".B {_text(record[0])}", _text(record[1]))
    if isinstance(command, click.Group):
        yield ".SH COMMANDS"
        for name, member in _members(ctx):
            yield from (".TP", f".BR {_text(f'{title}-{name}')} (1)")
            yield _text(_first_sentence(member))
    if command.epilog:
        yield ".SH EXIT STATUS"  # what the only epilog tells
        yield from _paragraphs(command.epilog)
    if ctx.parent is not None:
        above = ctx.parent.command_path.replace(" ", "-")
        yield from (".SH SEE ALSO", f".BR {_text(above)} (1)")


def _first_sentence(command: click.Command) -> str:
    return command.get_short_help_str(limit=200)


def _paragraphs(text: str) -> Iterator[str]:
    """Those of a help text, filled but for the ones that Click does not wrap either."""
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        first, *others = lines = paragraph.splitlines()
        yield ".PP"
        if first == VERBATIM:
            yield from (".nf", *map(_text, others), ".fi")
        else:
            yield from map(_text, lines)


def _text(line: str) -> str:
    """A line that roff takes for text: none of its commands, and dashes that can be copied."""
    escaped = line.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
def write_pages(folder: Path) -> None:
    """Write the pages to FOLDER, in the place of those that are there."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.1"):
        old.unlink()
    for name, page in make_pages(cli, "cdsrcodec", cdsrcodec.__version__).items():
        (folder / name).write_text(page, encoding="utf-8")


if __name__ == "__main__":
    write_pages()
