"""The command `cdsrcodec`; its commands stand in a module each."""

from __future__ import annotations

from pathlib import Path

import click

from cdsrcodec.cli import version
from cdsrcodec.cli.failures import OneLineErrorGroup, debug_option
from cdsrcodec.cli.groups import DeferredCommand, LazyGroup
from cdsrcodec.errors import FileAccessError

SUMMARIES = {
    "bench": "Compare codecs, and for sr4 enlargers, over the pictures in FOLDER.",
    "completion": "Print the completion script for SHELL.",
    "decode": "Decode IN (.cdsr) to the picture OUT, or each IN to a picture in DIR.",
    "encode": "Encode the picture IN to OUT (.cdsr), or each IN to a file in DIR.",
    "info": "Show what each FILE (.cdsr) says about itself, without decoding it.",
    "models": "Show, fetch, import and remove the weights of codecs.",
    "train": "Train the networks and export them.",
    "upscale": "Enlarge the picture IN four times each way to OUT, or each IN to a picture in DIR.",
    "verify": "Check that each FILE (.cdsr) is whole and right.",
}

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


class _Program(OneLineErrorGroup, LazyGroup):
    """The group of all commands."""


@click.group(
    "cdsrcodec",
    cls=_Program,
    commands=[
        DeferredCommand(name, f"cdsrcodec.cli.{name}", summary)
        for name, summary in SUMMARIES.items()
    ],
    epilog=EXIT_CODES,
)
@version.version_option
@version.verbose_option
@debug_option
def cli() -> None:
    """Pictures as small .cdsr files, and back at native size or four times larger.

    An error is one line on stderr, and its kind is the exit code.
    """
    try:
        Path.cwd()
    except FileNotFoundError as error:  # libraries, which would be loaded, end the process
        raise FileAccessError(
            "the folder that this is run in has been removed. hint: cd to another one"
        ) from error
