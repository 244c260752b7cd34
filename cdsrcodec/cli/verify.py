"""cdsrcodec verify: whether .cdsr files are whole and decode to what was encoded."""

from __future__ import annotations

from pathlib import Path

import click

import cdsrcodec
from cdsrcodec.cli import failures, options
from cdsrcodec.cli.failures import debug_option
from cdsrcodec.cli.inspection import inspect_all
from cdsrcodec.cli.places import Place


@click.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=options.PLACE)
@options.inspected_folders_option
@debug_option
@click.pass_context
def verify(ctx: click.Context, files: tuple[Place, ...], recursive: bool) -> None:
    """Check that each FILE (.cdsr) is whole and right.

    The bytes are compared with their checksum, and the symbols they decode to
    with theirs. All files are checked; the exit code is that of the first error.
    As FILE, - is standard input.
    """
    ctx.exit(inspect_all(files, _verify, recursive=recursive))


def _verify(name: Place, path: Path) -> None:
    cdsrcodec.verify_file(path)
    click.echo(failures.printable(f"{name}: ok"))
