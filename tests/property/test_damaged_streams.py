"""Damaged files end in a documented error or in the right symbols, soon and in little memory.

The reader of the bytes has its own such tests in tests/unit/container; here it is the
payload decoder and the networks behind it that must be reached, so most mutations get
a right byte CRC again.
"""

from __future__ import annotations

import resource
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cdsrcodec.codec import decode_pixels, decode_symbols, decoding, encode_pixels
from cdsrcodec.container import Limits, read_stream, write_stream
from cdsrcodec.errors import (
    BadMagicError,
    CdsrError,
    ChecksumError,
    DesyncError,
    FormatError,
    ModelError,
    TruncatedStreamError,
)

ROOT = Path(__file__).resolve().parents[2]
CPU = torch.device("cpu")
WIDTH_OFFSET = 11

MUTATIONS = 2000  # with their old byte CRC, and as many with a right one
FULL_DECODE_EVERY = 25
# Generous: other processes may hold the machine.
MAX_CASE_S = 10.0
MAX_GROWTH_BYTES = 300 * 2**20
# A mutated header may claim any size. A reader may set its own limit, and here it is low,
# so that the time goes into payloads.
LIMITS = Limits(max_pixels=20_000)


@pytest.fixture(scope="module")
def stream(one_thread: None) -> bytes:
    """A 33x20 photograph at quality 4."""
    with Image.open(ROOT / "sample_images" / "cat.png") as image:
        pixels = np.array(image.convert("RGB").crop((150, 100, 183, 120)))
    return encode_pixels(pixels, quality=4.0, codec="cdsr1", device=CPU)


@pytest.fixture(scope="module")
def symbols(stream: bytes) -> bytes:
    return symbols_of(stream)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Tiny pictures gain nothing from a second one, and where cores are taken it costs much."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def low_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "read_stream", partial(read_stream, limits=LIMITS))


@pytest.fixture(autouse=True)
def memory_cap(stream: bytes) -> Iterator[None]:
    """Fails whatever asks the system for more than the process has, plus MAX_GROWTH_BYTES."""
    decode_pixels(stream, sr=1, upscaler="latent", device=CPU)  # what is loaded once
    limits = resource.getrlimit(resource.RLIMIT_AS)
    cap_bytes = psutil.Process().memory_info().vms + MAX_GROWTH_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (cap_bytes, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, limits)


def symbols_of(data: bytes) -> bytes:
    return b"".join(run.astype("<i2").tobytes() for run in decode_symbols(data).runs)


def outcome_of(data: bytes) -> bytes | CdsrError:
    """The symbols, or the documented error, within the time; any other exception fails."""
    begin_s = time.perf_counter()
    try:
        outcome: bytes | CdsrError = symbols_of(data)
    except CdsrError as error:
        outcome = error
    assert time.perf_counter() - begin_s < MAX_CASE_S
    return outcome


def signed(data: bytes) -> bytes:
    """The data with a right byte CRC, if they are long enough to hold one."""
    offset = WIDTH_OFFSET
    for _ in range(2):  # width and height end in a byte without the high bit
        while offset < len(data) and data[offset] & 0x80:
            offset += 1
        offset += 1
    if len(data) < offset + 8:
        return data
    before, after = data[:offset], data[offset + 4 :]
    return before + zlib.crc32(before + after).to_bytes(4, "little") + after


def mutate(rng: np.random.Generator, data: bytes) -> bytes:
    """One to three bits flipped, bytes changed, or up to 4 bytes inserted or deleted."""
    mutated = bytearray(data)
    for _ in range(rng.integers(1, 4)):
        at, kind = int(rng.integers(len(mutated))), rng.integers(4)
        if kind == 0:
            mutated[at] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            mutated[at] = int(rng.integers(256))
        elif kind == 2:
            mutated[at:at] = rng.bytes(int(rng.integers(1, 5)))
        else:
            del mutated[at : at + int(rng.integers(1, 5))]
    return bytes(mutated)


def check_pixels(data: bytes) -> None:
    """Decode to pixels: the documented error, or a picture of the size in the header."""
    try:
        pixels = decode_pixels(data, sr=1, upscaler="latent", device=CPU)
    except CdsrError:
        return
    header = read_stream(data).header
    assert pixels.shape == (header.height_px, header.width_px, 3)


def test_a_file_cut_at_any_byte_is_refused(stream: bytes) -> None:
    header_bytes = len(stream) - len(read_stream(stream).payload)
    for size in range(len(stream)):
        if size < 3:
            expected: type[CdsrError] = BadMagicError
        else:
            expected = TruncatedStreamError if size < header_bytes else ChecksumError
        assert type(outcome_of(stream[:size])) is expected, size


def test_a_file_cut_at_any_byte_and_signed_anew_is_refused(stream: bytes) -> None:
    header_bytes = len(stream) - len(read_stream(stream).payload)
    for size in range(len(stream)):
        outcome = outcome_of(signed(stream[:size]))
        is_whole_words = size >= header_bytes and (size - header_bytes) % 4 == 0
        assert isinstance(outcome, DesyncError if is_whole_words else FormatError), size


def test_mutations_of_the_bytes_are_found_by_the_byte_checksum(stream: bytes) -> None:
    rng = np.random.default_rng(1)
    for _ in range(MUTATIONS):
        mutated = mutate(rng, stream)
        assert mutated == stream or isinstance(outcome_of(mutated), FormatError)


def test_mutations_signed_anew_end_in_an_error_or_in_the_right_symbols(
    stream: bytes, symbols: bytes
) -> None:
    rng = np.random.default_rng(2)
    kinds: Counter[type] = Counter()
    for case in range(MUTATIONS):
        # A header is a sixth of this file: without the second half few payloads are reached.
        header_bytes = 0 if case % 2 else len(stream) - len(read_stream(stream).payload)
        mutated = stream[:header_bytes] + mutate(rng, stream[header_bytes:])
        mutated = signed(mutated)
        outcome = outcome_of(mutated)
        assert isinstance(outcome, CdsrError) or outcome == symbols
        kinds[type(outcome)] += 1
        if case % FULL_DECODE_EVERY == 0:
            check_pixels(mutated)
    assert kinds.total() == MUTATIONS
    # The ways that a mutation can end were all reached, the payload decoder most of all.
    assert kinds[DesyncError] > MUTATIONS // 4
    assert {bytes, DesyncError, FormatError, ModelError} <= set(kinds)


@settings(deadline=None, max_examples=60)  # no deadline: other processes may hold the machine
@given(words=st.lists(st.integers(0, 2**32 - 1), max_size=60))
def test_any_other_payload_is_a_desync(stream: bytes, words: list[int]) -> None:
    payload = np.array(words, "<u4").tobytes()
    original = read_stream(stream)
    if payload != original.payload:
        data = write_stream(type(original)(original.header, (), payload))
        assert isinstance(outcome_of(data), DesyncError)


def test_the_memory_cap_is_one() -> None:
    with pytest.raises(MemoryError):
        np.ones(2 * MAX_GROWTH_BYTES, np.uint8)


def test_the_stream_itself_decodes(stream: bytes, symbols: bytes) -> None:
    assert outcome_of(signed(stream)) == symbols
    assert signed(stream) == stream
    check_pixels(stream)
