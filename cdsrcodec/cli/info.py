"""cdsrcodec info: what .cdsr files say about themselves."""

from __future__ import annotations

import dataclasses
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

import cdsrcodec
from cdsrcodec.cli import failures, options
from cdsrcodec.cli.failures import debug_option
from cdsrcodec.cli.inspection import inspect_all
from cdsrcodec.cli.places import Place

if TYPE_CHECKING:
    from cdsrcodec import StreamInfo


@click.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=options.PLACE)
@options.inspected_folders_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object a file.")
@debug_option
@click.pass_context
def info(ctx: click.Context, files: tuple[Place, ...], recursive: bool, as_json: bool) -> None:
    """Show what each FILE (.cdsr) says about itself, without decoding it.

    As FILE, - is standard input.
    """
    names_each = recursive or len(files) > 1
    show = partial(_show_json if as_json else _show, names_each)
    ctx.exit(inspect_all(files, show, recursive=recursive))


def _show_json(names_each: bool, name: Place, path: Path) -> None:
    """One file in lines, or each of many on a line of its own with its name."""
    import json

    facts = dataclasses.asdict(cdsrcodec.info_file(path))
    if names_each:
        click.echo(json.dumps({"input": str(name), **facts}))
    else:
        click.echo(json.dumps(facts, indent=2))


def _show(names_each: bool, name: Place, path: Path) -> None:
    """A line for each fact, of many files behind a line with the name."""
    stream = cdsrcodec.info_file(path)
    if names_each:
        click.echo(failures.printable(f"{name}:"))
    margin = "  " if names_each else ""
    for fact, value in _rows(stream):
        click.echo(f"{margin}{fact:<12}{value}")


def _rows(stream: StreamInfo) -> list[tuple[str, str]]:
    weights = "installed" if stream.installed else f"not here: {stream.weights_error}"
    codec = "unknown to this version" if stream.codec is None else stream.codec
    chunks = [
        ("chunk", f"{c.kind}, {c.data_bytes} bytes{', critical' if c.critical else ''}")
        for c in stream.chunks
    ]
    full = f"{stream.full_width_px}x{stream.full_height_px} px"
    full_size = [] if stream.full_width_px is None else [("full size", f"{full}, of --sr 4")]
    source = [] if stream.source is None else [("source", _in_words(stream.source))]
    return [
        ("format", f"version {stream.version}"),
        ("codec", f"{codec} (model {stream.model_id}, entropy tag {stream.entropy_tag})"),
        ("weights", weights),
        ("quality", f"{stream.quality:g}"),
        ("size", f"{stream.width_px}x{stream.height_px} px"),
        *full_size,
        *source,
        ("file", f"{stream.stream_bytes} bytes, {stream.bpp:.3f} bpp"),
        ("header", f"{stream.header_bytes} bytes"),
        ("payload", f"{stream.payload_bytes} bytes"),
        *chunks,
    ]


def _in_words(source: str) -> str:
    """L;16 -> L, 16 bits."""
    model, bits = source.split(";")
    return f"{model}, {bits} bit{'s' if bits != '1' else ''}"
