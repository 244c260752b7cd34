from __future__ import annotations

import zlib

import numpy as np

from cdsrcodec.entropy import symbol_crc


def test_checksum_is_the_crc_of_little_endian_16_bit_symbols() -> None:
    runs = [np.array([1, -1], np.int32), np.array([300, -32767], np.int32)]
    assert symbol_crc(runs) == zlib.crc32(bytes.fromhex("0100 ffff 2c01 0180"))
    assert symbol_crc(runs) == 0x98AD7B67


def test_checksum_does_not_depend_on_where_runs_end() -> None:
    symbols = np.arange(-50, 50, dtype=np.int32)
    assert symbol_crc([symbols]) == symbol_crc([symbols[:30], symbols[:0], symbols[30:]])


def test_checksum_depends_on_order_and_on_every_symbol() -> None:
    symbols = np.arange(-50, 50, dtype=np.int32)
    changed = symbols.copy()
    changed[70] += 1
    assert len({symbol_crc([s]) for s in (symbols, symbols[::-1], changed, symbols[:-1])}) == 4


def test_checksum_of_nothing_is_zero() -> None:
    assert symbol_crc([]) == 0
