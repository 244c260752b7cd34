"""cdsrcodec verify: whether .cdsr files are whole and decode to what was encoded."""

from __future__ import annotations

import click

import cdsrcodec
from cdsrcodec.cli import failures, options
from cdsrcodec.cli.failures import debug_option
from cdsrcodec.cli.places import Place
from cdsrcodec.cli.spooling import spooled
from cdsrcodec.errors import CdsrError


@click.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=options.PLACE)
@debug_option
@click.pass_context
def verify(ctx: click.Context, files: tuple[Place, ...]) -> None:
    """Check that each FILE (.cdsr) is whole and right.

    The bytes are compared with their checksum, and the symbols they decode to
    with theirs. All files are checked; the exit code is that of the first error.
    As FILE, - is standard input.
    """
    exit_code = 0
    for file in files:
        try:
            with spooled(file) as path:
                cdsrcodec.verify_file(path)
        except CdsrError as error:
            failures.report(error, str(error))
            exit_code = exit_code or error.exit_code
        except MemoryError as error:  # a few bytes may claim a large picture; others need not
            failures.report(error, f"{file}: {failures.OUT_OF_MEMORY}")
            exit_code = exit_code or failures.OUT_OF_MEMORY_EXIT_CODE
        else:
            click.echo(failures.printable(f"{file}: ok"))
    ctx.exit(exit_code)
