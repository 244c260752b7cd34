"""The command `cdsrcodec`; its commands stand in a module each."""

from __future__ import annotations

import click

import cdsrcodec
from cdsrcodec.cli import options
from cdsrcodec.cli.decode import decode
from cdsrcodec.cli.encode import encode
from cdsrcodec.cli.failures import OneLineErrorGroup
from cdsrcodec.cli.info import info
from cdsrcodec.cli.verify import verify

# Imported for --help already, so none of them imports torch before it runs.
COMMANDS: tuple[click.Command, ...] = (decode, encode, info, verify)


@click.group(cls=OneLineErrorGroup)
@click.version_option(cdsrcodec.__version__, message="%(prog)s %(version)s")
@options.debug_option
def cli() -> None:
    """Pictures as small .cdsr files, and back at native size or four times larger.

    Errors are one line on stderr; the exit code tells their kind (docs/cli.md).
    """


for command in COMMANDS:
    cli.add_command(command)
