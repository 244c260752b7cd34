"""The option --effort."""

from __future__ import annotations

import click

from cdsrcodec.models.registry import MAX_EFFORT

effort_option = click.option(
    "--effort",
    type=click.IntRange(0, MAX_EFFORT),
    default=0,
    show_default=True,
    help="More makes a better file and takes longer.",
)
