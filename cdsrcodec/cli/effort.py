"""The option --effort."""

from __future__ import annotations

import click

# Of codec.refinement, which this module must not import: it would import torch.
MAX_EFFORT = 9

effort_option = click.option(
    "--effort",
    type=click.IntRange(0, MAX_EFFORT),
    default=0,
    show_default=True,
    help="More makes a better file and takes longer.",
)
