"""The worked examples of docs/format.md are valid streams and say what they hold."""

from __future__ import annotations

import re
import zlib
from pathlib import Path

import pytest

from cdsrcodec import container, errors
from cdsrcodec.container import Chunk, Header, Limits, Stream, read_stream, write_stream

DOCUMENT = (Path(__file__).parents[3] / "docs" / "format.md").read_text(encoding="utf-8")
LINE = re.compile(r"^ *(\d+)  ((?:[0-9A-F]{2} )*[0-9A-F]{2})  +(\S.*)$")
PAYLOAD = bytes.fromhex("04030201 0D0C0B0A")


def worked_examples() -> list[list[tuple[int, bytes, str]]]:
    """Every worked example as its lines: offset, bytes, meaning."""
    section = DOCUMENT.split("## Worked examples")[1]
    examples = []
    for block in re.findall(r"```text\n(.*?)```", section, re.DOTALL):
        matches = [LINE.match(line) for line in block.splitlines()]
        assert all(matches), block
        examples.append([(int(m[1]), bytes.fromhex(m[2]), m[3]) for m in matches if m])
    return examples


def test_the_document_has_two_worked_examples() -> None:
    assert len(worked_examples()) == 2


@pytest.mark.parametrize("number", [0, 1])
def test_the_offsets_of_a_worked_example_add_up(number: int) -> None:
    position = 0
    for offset, data, _ in worked_examples()[number]:
        assert offset == position
        position += len(data)
    assert f"{position} bytes in all" in DOCUMENT


@pytest.mark.parametrize("number", [0, 1])
def test_the_checksum_of_a_worked_example_is_that_of_the_other_bytes(number: int) -> None:
    lines = worked_examples()[number]
    others = b"".join(data for _, data, meaning in lines if not meaning.startswith("byte_crc"))
    (stated,) = (line for line in lines if line[2].startswith("byte_crc"))
    assert int.from_bytes(stated[1], "little") == zlib.crc32(others)
    assert f"{zlib.crc32(others):08X}" in stated[2]


@pytest.mark.parametrize(
    ("number", "width_px", "height_px", "chunks"),
    [(0, 64, 48, ()), (1, 768, 512, (Chunk(b"exif", b"II"), Chunk(b"orig", b"")))],
)
def test_a_worked_example_reads_as_documented(
    number: int, width_px: int, height_px: int, chunks: tuple[Chunk, ...]
) -> None:
    data = b"".join(line[1] for line in worked_examples()[number])
    header = Header(1, bytes.fromhex("9F3A7C51"), 96, width_px, height_px, 0xDEADBEEF)
    stream = read_stream(data)
    assert stream == Stream(header, chunks, PAYLOAD)
    assert stream.header.quality == 4.0
    assert write_stream(stream) == data


def test_the_limits_of_the_document_are_those_of_the_reader() -> None:
    spaced = {name: f"{value:,}".replace(",", " ") for name, value in vars(Limits()).items()}
    assert f"| pixels | {spaced['max_pixels']} |" in DOCUMENT
    assert f"| {spaced['max_chunk_bytes']} bytes (64 MiB) |" in DOCUMENT


def test_the_document_names_every_error_of_the_format_and_no_other() -> None:
    named = set(re.findall(r"\b[A-Z][A-Za-z]+Error\b", DOCUMENT))
    format_errors = {error.__name__ for error in errors.FormatError.__subclasses__()}
    assert named == format_errors | {"FormatError", "LimitError", "ModelError", "DesyncError"}


def test_the_document_is_about_the_version_that_is_read() -> None:
    assert DOCUMENT.startswith(f"# The .cdsr file format, version {container.FORMAT_VERSION}\n")
