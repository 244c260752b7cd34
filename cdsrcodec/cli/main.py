"""The command `cdsrcodec`; its commands stand in a module each."""

from __future__ import annotations

import click

import cdsrcodec
from cdsrcodec.cli import options
from cdsrcodec.cli.bench import bench
from cdsrcodec.cli.decode import decode
from cdsrcodec.cli.encode import encode
from cdsrcodec.cli.failures import OneLineErrorGroup
from cdsrcodec.cli.info import info
from cdsrcodec.cli.train import train
from cdsrcodec.cli.upscale import upscale
from cdsrcodec.cli.verify import verify

# Imported for --help already, so none of them imports torch before it runs.
COMMANDS: tuple[click.Command, ...] = (bench, decode, encode, info, train, upscale, verify)


EXIT_CODES = """\b
Exit codes:
  2  wrong usage                    7  OUT exists, and no -f
  3  not a picture to be coded      8  more pixels than a limit allows
  4  not a valid .cdsr file         9  a file cannot be read or written
  5  unknown model, other weights  10  no such device
  6  decodes to other symbols      11  training cannot go on
  1  out of memory                130  interrupted
"""


@click.group("cdsrcodec", cls=OneLineErrorGroup, epilog=EXIT_CODES)
@click.version_option(cdsrcodec.__version__, message="%(prog)s %(version)s")
@options.debug_option
def cli() -> None:
    """Pictures as small .cdsr files, and back at native size or four times larger.

    An error is one line on stderr, and its kind is the exit code.
    """


for command in COMMANDS:
    cli.add_command(command)
