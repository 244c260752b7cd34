"""Streams of every released version, which each later one must read to the same integers."""

from __future__ import annotations

import hashlib
import json
import re
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import cdsrcodec
from cdsrcodec.chunks.facts import PLAIN_ORIGIN
from cdsrcodec.chunks.sidecar import sidecar_of
from cdsrcodec.codec import decode_symbols
from cdsrcodec.codec.loading import entropy_model
from cdsrcodec.container import kinds, read_stream, write_stream
from cdsrcodec.container.varint import pack_varint
from cdsrcodec.imageio.metadata import Metadata
from cdsrcodec.models.registry import codec_named, former_entries_of, shipped

pytestmark = pytest.mark.golden

HERE = Path(__file__).resolve().parent / "valid"
EXPECTED: dict[str, dict[str, Any]] = json.loads((HERE / "expected.json").read_text("utf-8"))
COMPATIBILITY = (HERE.parents[2] / "docs" / "compatibility.md").read_text(encoding="utf-8")
HEADER_FIELDS = ("model_id", "quality_code", "width_px", "height_px", "symbol_crc")
# Grey levels that the mean of a part may move by when the decoder is trained on.
MEAN_TOLERANCE = 2.0


def test_every_golden_file_is_expected_and_there_are_some() -> None:
    assert sorted(path.name for path in HERE.glob("*.cdsr")) == sorted(EXPECTED)
    assert len(EXPECTED) >= 17


def test_every_registered_chunk_and_colour_mode_is_among_them() -> None:
    found = {kind for expected in EXPECTED.values() for kind, _ in expected["chunks"]}
    assert found >= {kind.decode() for kind in kinds.REGISTERED}
    modes = {expected["mode"] for expected in EXPECTED.values()}
    assert modes == {"L", "LA", "RGB", "RGBA"}
    sizes = [(expected["width_px"], expected["height_px"]) for expected in EXPECTED.values()]
    assert {max(len(pack_varint(side_px)) for side_px in size) for size in sizes} == {1, 2, 3}


def test_malformed_optional_chunks_count_as_absent() -> None:
    stream = read_stream((HERE / "malformed-optional-16x32-q2.cdsr").read_bytes())
    sidecar = sidecar_of(stream)
    assert (sidecar.origin, sidecar.full_size_px) == (PLAIN_ORIGIN, None)
    assert sidecar.metadata == Metadata()
    assert len(sidecar.warnings) == len(stream.chunks) - 1  # the one of an unknown kind is none


def test_a_picture_with_a_full_size_is_cut_to_it() -> None:
    data = (HERE / "metadata-30x17-q5.cdsr").read_bytes()
    image = cdsrcodec.decode(data, sr=4, device="cpu")
    assert image.size == (120, 66)
    assert image.info["dpi"] == (1200.0, 800.0)


@pytest.mark.parametrize("name", EXPECTED)
def test_header_and_chunks_are_read_and_written_back(name: str) -> None:
    data, expected = (HERE / name).read_bytes(), EXPECTED[name]
    stream = read_stream(data)
    assert {field: getattr(stream.header, field) for field in HEADER_FIELDS} == {
        field: expected[field] for field in HEADER_FIELDS
    }
    assert stream.header.entropy_tag.hex() == expected["entropy_tag"]
    assert [[c.kind.decode(), len(c.data)] for c in stream.chunks] == expected["chunks"]
    assert write_stream(stream) == data


@pytest.mark.parametrize("name", EXPECTED)
def test_symbols_are_exactly_those_that_were_encoded(name: str) -> None:
    runs = decode_symbols((HERE / name).read_bytes()).runs
    assert [len(run) for run in runs] == EXPECTED[name]["run_lengths"]
    symbols = b"".join(run.astype("<i2").tobytes() for run in runs)
    assert hashlib.sha256(symbols).hexdigest() == EXPECTED[name]["symbols_sha256"]


@pytest.mark.parametrize("name", EXPECTED)
def test_pixels_have_the_colours_that_were_seen(name: str) -> None:
    expected = EXPECTED[name]
    image = cdsrcodec.decode((HERE / name).read_bytes(), device="cpu")
    assert (image.mode, sorted(image.info)) == (expected["mode"], expected["info"])
    pixels = np.asarray(image.convert("RGB"))
    assert pixels.shape == (expected["height_px"], expected["width_px"], 3)
    means = expected["mean_rgb"]
    for rows, row_means in zip(np.array_split(pixels, len(means)), means, strict=True):
        for part, mean in zip(np.array_split(rows, len(row_means), 1), row_means, strict=True):
            assert part.mean((0, 1)).tolist() == pytest.approx(mean, abs=MEAN_TOLERANCE)


def test_alpha_planes_are_exactly_those_that_were_written() -> None:
    transparent = [name for name, expected in EXPECTED.items() if "alpha_sha256" in expected]
    assert {EXPECTED[name]["mode"] for name in transparent} == {"LA", "RGBA"}
    for name in transparent:
        image = cdsrcodec.decode((HERE / name).read_bytes(), device="cpu")
        alpha = image.getchannel("A").tobytes()
        assert hashlib.sha256(alpha).hexdigest() == EXPECTED[name]["alpha_sha256"]


def test_symbols_outside_their_tables_are_among_them() -> None:
    model = entropy_model(codec_named("cdsr1"))
    symbols = decode_symbols((HERE / "noise-48x48-q8.cdsr").read_bytes())
    _, _, height, width = symbols.y_hat_gained.shape
    z_symbols, first_step = symbols.runs[:2]
    walk = model.prior.walk(torch.from_numpy(z_symbols.reshape(1, 128, 1, 1)), height, width)
    indexes = walk.predict(0).indexes.numpy()
    assert (np.abs(first_step) > model.latent.highs[indexes]).sum() > 0


def test_the_document_lists_every_model_that_is_read() -> None:
    rows = re.findall(r"^\| `([\w-]+)` \| (\d+) \| `([0-9a-f]{8})` \|", COMPATIBILITY, re.MULTILINE)
    entries = [*shipped(), *(former for e in shipped() for former in former_entries_of(e.name))]
    read = {(entry.name, str(entry.model_id), entry.entropy_tag().hex()) for entry in entries}
    assert set(rows) == read
    assert {expected["entropy_tag"] for expected in EXPECTED.values()} == {tag for *_, tag in rows}


@pytest.fixture(scope="module")
def make_golden() -> Callable[[Path], None]:
    main: Callable[[Path], None] = runpy.run_path(str(HERE.parent / "make_valid.py"))["main"]
    return main


def test_generator_refuses_to_make_golden_files_anew(make_golden: Callable[[Path], None]) -> None:
    before = {path: path.read_bytes() for path in HERE.iterdir() if path.is_file()}
    with pytest.raises(SystemExit, match="all golden files are there, and they are never made"):
        make_golden(HERE)
    assert {path: path.read_bytes() for path in HERE.iterdir() if path.is_file()} == before


def test_generator_overwrites_no_file_that_is_not_listed(
    make_golden: Callable[[Path], None], tmp_path: Path
) -> None:
    stray = tmp_path / next(iter(EXPECTED))
    stray.write_bytes(b"precious")
    with pytest.raises(FileExistsError):
        make_golden(tmp_path)
    assert stray.read_bytes() == b"precious"
    assert list(tmp_path.iterdir()) == [stray]


def test_generator_fills_an_empty_folder(
    make_golden: Callable[[Path], None], tmp_path: Path
) -> None:
    make_golden(tmp_path)
    made: dict[str, dict[str, Any]] = json.loads((tmp_path / "expected.json").read_text("utf-8"))
    assert sorted(path.name for path in tmp_path.glob("*.cdsr")) == sorted(made) == sorted(EXPECTED)
    # Encoders run in floating point: their symbols, unlike a reader's, are no promise.
    kept = ("quality_code", "width_px", "height_px", "chunks", "run_lengths")
    for name, fields in made.items():
        assert {key: fields[key] for key in kept} == {key: EXPECTED[name][key] for key in kept}
