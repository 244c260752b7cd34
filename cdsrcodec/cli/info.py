"""cdsrcodec info: what a .cdsr file says about itself."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import click

import cdsrcodec
from cdsrcodec.cli import options
from cdsrcodec.cli.failures import debug_option
from cdsrcodec.cli.places import Place
from cdsrcodec.cli.spooling import spooled

if TYPE_CHECKING:
    from cdsrcodec import StreamInfo


@click.command()
@click.argument("file", metavar="FILE", type=options.PLACE)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@debug_option
def info(file: Place, as_json: bool) -> None:
    """Show what FILE (.cdsr) says about itself, without decoding it.

    As FILE, - is standard input.
    """
    with spooled(file) as path:
        stream = cdsrcodec.info_file(path)
    if as_json:
        import json

        click.echo(json.dumps(dataclasses.asdict(stream), indent=2))
        return
    for name, value in _rows(stream):
        click.echo(f"{name:<12}{value}")


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
