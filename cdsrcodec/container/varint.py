"""Unsigned LEB128: seven bits a byte, lowest first, bit 7 set on all but the last byte.

Only the shortest form of a number is valid, so that a file has one spelling.

Source: DWARF 5, section 7.6. Differs: there a longer form is allowed.
"""

from __future__ import annotations

from cdsrcodec.errors import FormatError, TruncatedStreamError

_MORE = 0x80


def pack_varint(value: int) -> bytes:
    """The shortest form of `value`, which must not be negative (ValueError)."""
    if value < 0:
        raise ValueError(f"a varint holds no negative number: {value}")
    packed = bytearray()
    while value >= _MORE:
        packed.append(value & 0x7F | _MORE)
        value >>= 7
    packed.append(value)
    return bytes(packed)


def read_varint(data: bytes, offset: int, *, max_bytes: int) -> tuple[int, int]:
    """Read the number at `offset`; returns it and the offset after it.

    Raises:
        TruncatedStreamError: the data end before the number does.
        FormatError: longer than `max_bytes`, or not the shortest form.
    """
    value = 0
    for position in range(offset, offset + max_bytes):
        if position >= len(data):
            raise TruncatedStreamError(
                "the file ends inside a number. hint: it was cut short, fetch it again",
                offset=len(data),
            )
        byte = data[position]
        value |= (byte & 0x7F) << 7 * (position - offset)
        if byte < _MORE:
            if byte == 0 and position > offset:
                raise FormatError(
                    "a number is not in its shortest form. hint: the file is damaged",
                    offset=offset,
                )
            return value, position + 1
    raise FormatError(
        f"a number takes more than {max_bytes} bytes. hint: the file is damaged", offset=offset
    )
