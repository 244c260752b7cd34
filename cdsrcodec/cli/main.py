"""The command `cdsrcodec`; its commands stand in a module each."""

from __future__ import annotations

import click

from cdsrcodec.cli import options, version
from cdsrcodec.cli.bench import bench
from cdsrcodec.cli.completion import completion
from cdsrcodec.cli.decode import decode
from cdsrcodec.cli.encode import encode
from cdsrcodec.cli.failures import OneLineErrorGroup
from cdsrcodec.cli.info import info
from cdsrcodec.cli.models import models
from cdsrcodec.cli.train import train
from cdsrcodec.cli.train_codec import codec
from cdsrcodec.cli.train_enlarger import enlarger
from cdsrcodec.cli.train_upscaler import upscaler
from cdsrcodec.cli.upscale import upscale
from cdsrcodec.cli.verify import verify

# Imported for --help already, so none of them imports torch before it runs.
COMMANDS: tuple[click.Command, ...] = (
    bench,
    completion,
    decode,
    encode,
    info,
    models,
    train,
    upscale,
    verify,
)


EXIT_CODES = """\b
Exit codes:
  2  wrong usage                    7  OUT exists, and no -f
  3  not a picture to be coded      8  more pixels than a limit allows
  4  not a valid .cdsr file         9  a file cannot be read or written
  5  unknown model, other weights  10  no such device
  6  decodes to other symbols      11  training cannot go on
  1  out of memory                130  interrupted
                                  143  terminated
Of many files the code is that of the first one that failed.
"""


@click.group("cdsrcodec", cls=OneLineErrorGroup, epilog=EXIT_CODES)
@version.version_option
@version.verbose_option
@options.debug_option
def cli() -> None:
    """Pictures as small .cdsr files, and back at native size or four times larger.

    An error is one line on stderr, and its kind is the exit code.
    """


for command in COMMANDS:
    cli.add_command(command)
for recipe in (codec, upscaler, enlarger):
    train.add_command(recipe)
