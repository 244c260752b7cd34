"""Varints: shortest form only, bounded length, no reading past the end."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cdsrcodec.container.varint import pack_varint, read_varint
from cdsrcodec.errors import FormatError, TruncatedStreamError


def outcome_of(data: bytes) -> tuple[int, int] | FormatError:
    """What reading gives: the number and its end, or the documented error."""
    try:
        return read_varint(data, 0, max_bytes=5)
    except FormatError as error:
        return error


@pytest.mark.parametrize(
    ("value", "packed"),
    [
        (0, "00"),
        (127, "7f"),
        (128, "8001"),
        (300, "ac02"),
        (16383, "ff7f"),
        (16384, "808001"),
        (2**21 - 1, "ffff7f"),
        (2**35 - 1, "ffffffff7f"),
    ],
)
def test_known_numbers_have_known_bytes(value: int, packed: str) -> None:
    assert pack_varint(value).hex() == packed
    assert read_varint(bytes.fromhex(packed), 0, max_bytes=5) == (value, len(packed) // 2)


@settings(deadline=None)  # other processes may hold the machine
@given(st.integers(0, 2**35 - 1), st.binary(max_size=4), st.binary(max_size=4))
def test_every_number_comes_back_wherever_it_stands(value: int, left: bytes, right: bytes) -> None:
    packed = pack_varint(value)
    end = len(left) + len(packed)
    assert read_varint(left + packed + right, len(left), max_bytes=5) == (value, end)


@settings(deadline=None)  # other processes may hold the machine
@given(st.binary(min_size=1, max_size=6))
def test_bytes_that_read_as_a_number_are_its_only_form(data: bytes) -> None:
    outcome = outcome_of(data)
    if isinstance(outcome, FormatError):
        assert outcome.offset in (0, len(data))
    else:
        value, end = outcome
        assert pack_varint(value) == data[:end]


@pytest.mark.parametrize("packed", ["8000", "c000", "808000", "ff8000"])
def test_a_longer_form_than_needed_is_refused(packed: str) -> None:
    with pytest.raises(FormatError, match="shortest form") as caught:
        read_varint(b"\x01" + bytes.fromhex(packed), 1, max_bytes=3)
    assert caught.value.offset == 1


@pytest.mark.parametrize("max_bytes", [1, 2, 3, 5])
def test_a_number_with_too_many_bytes_is_refused_without_reading_on(max_bytes: int) -> None:
    data = b"\x80" * max_bytes + b"\x01"
    with pytest.raises(FormatError, match=f"more than {max_bytes} bytes") as caught:
        read_varint(data[:max_bytes], 0, max_bytes=max_bytes)
    assert not isinstance(caught.value, TruncatedStreamError)
    assert read_varint(data, 0, max_bytes=max_bytes + 1) == (1 << 7 * max_bytes, max_bytes + 1)


@pytest.mark.parametrize("data", [b"", b"\x80", b"\x80\x80"])
def test_an_end_inside_a_number_is_a_truncation(data: bytes) -> None:
    with pytest.raises(TruncatedStreamError) as caught:
        read_varint(data, 0, max_bytes=3)
    assert caught.value.offset == len(data)


def test_a_negative_number_is_a_programming_error() -> None:
    with pytest.raises(ValueError, match="negative"):
        pack_varint(-1)
