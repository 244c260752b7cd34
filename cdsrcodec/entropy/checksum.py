"""Checksum of the coded integers, which tells a desync from damaged bytes."""

from __future__ import annotations

import zlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray


def symbol_crc(runs: Iterable[NDArray[np.int32]]) -> int:
    """CRC-32 of the symbols as little-endian int16, run after run in coding order."""
    crc = 0
    for symbols in runs:
        crc = zlib.crc32(symbols.astype("<i2").tobytes(), crc)
    return crc
