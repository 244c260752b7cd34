"""The chunk ALPH: every plane comes back exactly, everything else is a FormatError, in bounds."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zlib
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from cdsrcodec.chunks.plane import pack_plane, unpack_plane
from cdsrcodec.errors import FormatError

Plane = NDArray[np.uint8]


def planes() -> Iterator[tuple[str, Plane]]:
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[0:23, 0:37]
    soft = np.clip(9 * np.hypot(rows - 9, columns - 20), 0, 255).astype(np.uint8)
    yield "soft", soft
    yield "mask", np.where(soft > 90, 255, 0).astype(np.uint8)
    yield "dither", rng.choice(np.array([0, 255], np.uint8), (23, 37))
    yield "noise", rng.integers(0, 256, (23, 37)).astype(np.uint8)
    yield "flat", np.full((23, 37), 77, np.uint8)
    yield "hidden", np.zeros((5, 9), np.uint8)
    yield "one pixel", np.array([[254]], np.uint8)
    yield "row", rng.integers(0, 256, (1, 3000)).astype(np.uint8)
    yield "column", rng.choice(np.array([0, 255], np.uint8), (3000, 1))


PLANES = dict(planes())


def png_of(data: bytes, width_px: int, height_px: int) -> bytes:
    """The chunk's data as the PNG that the format document says they are of."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        crc = zlib.crc32(kind + body)
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", crc)

    header = struct.pack(">IIBBBBB", width_px, height_px, data[0], 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", data[1:]) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize("name", PLANES)
def test_a_plane_comes_back_exactly(name: str) -> None:
    plane = PLANES[name]
    height_px, width_px = plane.shape
    data = pack_plane(plane)
    assert data[0] == 8 or set(np.unique(plane)) <= {0, 255}
    np.testing.assert_array_equal(unpack_plane(data, width_px, height_px, offset=0), plane)


@pytest.mark.parametrize("name", PLANES)
def test_the_data_are_those_of_a_png(name: str) -> None:
    plane = PLANES[name]
    with Image.open(io.BytesIO(png_of(pack_plane(plane), *plane.shape[::-1]))) as image:
        np.testing.assert_array_equal(np.asarray(image.convert("L")), plane)


def test_filters_and_single_bits_make_planes_small() -> None:
    raw = {name: len(zlib.compress(plane.tobytes(), 9)) for name, plane in PLANES.items()}
    packed = {name: len(pack_plane(plane)) for name, plane in PLANES.items()}
    assert packed["soft"] < raw["soft"]
    assert packed["dither"] < 0.9 * raw["dither"]
    assert packed["hidden"] < 20


def refused(data: bytes, width_px: int = 37, height_px: int = 23) -> str:
    with pytest.raises(FormatError) as caught:
        unpack_plane(data, width_px, height_px, offset=25)
    assert type(caught.value) is FormatError
    assert caught.value.offset == 25
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_an_unknown_depth_is_refused() -> None:
    assert "of 0 bits" in refused(b"")
    assert "of 2 bits" in refused(b"\x02" + pack_plane(PLANES["soft"])[1:])


@pytest.mark.parametrize("size", [(37, 24), (37, 22), (36, 23), (38, 23), (23, 37)])
def test_a_plane_of_another_size_is_refused(size: tuple[int, int]) -> None:
    assert "hint: " in refused(pack_plane(PLANES["soft"]), *size)


@pytest.mark.parametrize("name", ["soft", "dither"])
def test_a_plane_cut_short_or_followed_by_something_is_refused(name: str) -> None:
    data = pack_plane(PLANES[name])
    broken = [*(data[:end] for end in range(len(data))), data + b"\0", data + data[1:]]
    assert all("hint: " in refused(plane) for plane in broken)


def test_an_unknown_filter_is_refused() -> None:
    rows = np.zeros((23, 38), np.uint8)
    rows[7, 0] = 5
    assert "unknown filter" in refused(b"\x08" + zlib.compress(rows.tobytes()))


def test_a_wrong_checksum_of_the_plane_is_refused() -> None:
    data = bytearray(pack_plane(PLANES["soft"]))
    data[-1] ^= 1
    assert "damaged" in refused(bytes(data))


def test_a_bomb_is_not_decompressed() -> None:
    bomb = b"\x08" + zlib.compress(bytes(64 * 2**20), 9)
    tracemalloc.start()
    try:
        refused(bomb)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 2**20


@settings(deadline=None, max_examples=200)
@given(
    at=st.integers(0, 10_000), value=st.integers(0, 255), name=st.sampled_from(["soft", "dither"])
)
def test_a_changed_byte_is_an_error_or_a_plane_of_the_same_size(
    at: int, value: int, name: str
) -> None:
    data = bytearray(pack_plane(PLANES[name]))
    data[at % len(data)] = value
    try:
        plane = unpack_plane(bytes(data), 37, 23, offset=0)
    except FormatError:
        return
    # The checksum of zlib misses some; that of the file, which this test leaves out, does not.
    assert plane.shape == (23, 37)
