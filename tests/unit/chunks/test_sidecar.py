"""What stands beside the symbols, from picture to chunks and back, less what is malformed."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from cdsrcodec.chunks import sidecar
from cdsrcodec.chunks.blocks import pack_block
from cdsrcodec.chunks.facts import PLAIN_ORIGIN, Origin
from cdsrcodec.chunks.sidecar import alpha_of, chunks_of, has_alpha, sidecar_of
from cdsrcodec.container import Chunk, Header, Limits, Stream, read_stream, write_stream
from cdsrcodec.errors import FormatError, LimitError
from cdsrcodec.imageio.assembly import assemble
from cdsrcodec.imageio.metadata import MAX_BLOCK_BYTES, Metadata
from cdsrcodec.imageio.reader import Picture


def exif_block(orientation: int = 1) -> bytes:
    exif = Image.Exif()
    exif[0x010F] = "Kamera"
    exif[0x0112] = orientation
    return exif.tobytes().removeprefix(b"Exif\0\0")


METADATA = Metadata(exif_block(), b"<x:xmpmeta/>", b"a profile" * 40, (300.0, 150.0))
ALPHA = np.arange(24, dtype=np.uint8).reshape(4, 6)
PLAIN = Picture(np.zeros((4, 6, 3), np.uint8))
FULL = dataclasses.replace(PLAIN, alpha=ALPHA, model="L", bits=16, metadata=METADATA)


def stream_with(*chunks: Chunk) -> Stream:
    """As it is read from a file of 6x4 pixels with these chunks."""
    header = Header(1, b"abcd", 96, 6, 4, 0)
    return read_stream(write_stream(Stream(header, chunks, b"")))


def test_a_plain_picture_has_no_chunks() -> None:
    assert chunks_of(PLAIN) == ()
    assert alpha_of(stream_with()) is None
    assert not has_alpha(stream_with())
    assert sidecar_of(stream_with()) == sidecar.Sidecar(PLAIN_ORIGIN, Metadata(), None, ())


def test_everything_comes_back() -> None:
    chunks = chunks_of(FULL)
    assert [chunk.kind for chunk in chunks] == [
        b"ALPH", b"orig", b"phys", b"iccp", b"exif", b"xmpm",
    ]  # fmt: skip
    stream = stream_with(*chunks)
    assert has_alpha(stream)
    alpha = alpha_of(stream)
    assert alpha is not None
    np.testing.assert_array_equal(alpha, ALPHA)
    assert sidecar_of(stream) == sidecar.Sidecar(Origin("L", 16), METADATA, None, ())


def test_stripping_leaves_alpha_and_origin() -> None:
    kinds = [chunk.kind for chunk in chunks_of(FULL, {"all"})]
    assert kinds == [b"ALPH", b"orig"]


def test_more_than_a_reader_accepts_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    size_bytes = sum(len(chunk.data) for chunk in chunks_of(FULL))
    for max_bytes in (size_bytes, size_bytes - 1):
        monkeypatch.setattr(sidecar, "Limits", lambda n=max_bytes: Limits(max_chunk_bytes=n))
        if max_bytes == size_bytes:
            assert len(chunks_of(FULL)) == 6
    with pytest.raises(LimitError, match=rf"take {size_bytes} bytes, .* hint: "):
        chunks_of(FULL)


def test_a_second_alpha_plane_is_refused_where_it_begins() -> None:
    alpha = chunks_of(FULL)[0]
    stream = stream_with(alpha, alpha)
    with pytest.raises(FormatError, match="a second alpha plane") as caught:
        alpha_of(stream)
    data = write_stream(stream)
    assert caught.value.offset == data.rindex(alpha.data)


@pytest.mark.parametrize(
    ("chunk", "words"),
    [
        (Chunk(b"orig", b""), "chunk orig is skipped: it names no known"),
        (Chunk(b"phys", b"\x00"), "chunk phys is skipped: it is no resolution"),
        (Chunk(b"iccp", b"\x07abc"), "chunk iccp is skipped: its compression is unknown"),
        (Chunk(b"exif", bytes(range(200))), "chunk exif is skipped: no TIFF header"),
        (Chunk(b"exif", b"\0II*\0\xff\0\0\0"), "chunk exif is skipped: a directory points beyond"),
        (Chunk(b"xmpm", b"\0\xff\xfe"), "chunk xmpm is skipped: 'utf-8' codec"),
        (Chunk(b"xmpm", pack_block(bytes(MAX_BLOCK_BYTES + 1))), "size is not 1 to 4194304 bytes"),
    ],
)
def test_a_malformed_optional_chunk_counts_as_absent(chunk: Chunk, words: str) -> None:
    found = sidecar_of(stream_with(chunk))
    assert found.metadata == Metadata()
    assert found.origin == PLAIN_ORIGIN
    (warning,) = found.warnings
    assert words in warning
    assert "\n" not in warning


def test_a_second_optional_chunk_is_skipped() -> None:
    found = sidecar_of(stream_with(Chunk(b"orig", b"L;8"), Chunk(b"orig", b"P;8")))
    assert found.origin == Origin("L", 8)
    assert found.warnings == ("chunk orig is skipped: there is one before it",)


def test_chunks_of_other_programs_are_passed_over() -> None:
    assert sidecar_of(stream_with(Chunk(b"zzzz", b"abc"))).warnings == ()


def test_an_orientation_in_a_file_is_not_given_out() -> None:
    found = sidecar_of(stream_with(Chunk(b"exif", pack_block(exif_block(6)))))
    assert found.metadata.exif == exif_block(1)


@settings(deadline=None, max_examples=300)
@given(
    kind=st.sampled_from([b"orig", b"phys", b"iccp", b"exif", b"xmpm"]),
    method=st.sampled_from([b"", b"\0", b"\1", b"\0II*\0\x08\0\0\0", b"\0MM\0*\0\0\0\x08"]),
    body=st.binary(max_size=80),
)
def test_no_optional_chunk_stops_the_picture(kind: bytes, method: bytes, body: bytes) -> None:
    found = sidecar_of(stream_with(Chunk(kind, method + body)))
    image = assemble(PLAIN.pixels, None, found.metadata, is_grey=found.origin.is_grey, scale=1)
    assert image.size == (6, 4)
    assert image.mode == ("L" if found.origin.is_grey else "RGB")


def test_a_damaged_profile_gives_a_picture_all_the_same() -> None:
    rng = np.random.default_rng(7)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    outcomes = set()
    for _ in range(300):
        damaged = bytearray(profile)
        for at in rng.integers(0, len(damaged), rng.integers(1, 30)):
            damaged[at] = rng.integers(256)
        metadata = Metadata(icc_profile=bytes(damaged[: rng.integers(100, 4 * len(damaged))]))
        image = assemble(PLAIN.pixels, None, metadata, is_grey=False, scale=1)
        assert (image.mode, image.size) == ("RGB", (6, 4))
        outcomes.add("icc_profile" in image.info)
    assert outcomes == {False, True}
