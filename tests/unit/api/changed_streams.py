"""Streams that say other things than were coded, and how near pictures are."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from cdsrcodec.container import read_stream, write_stream
from cdsrcodec.errors import (
    DesyncError,
)


def with_header(data: bytes, **fields: object) -> bytes:
    """The stream with other header fields and a right byte CRC."""
    stream = read_stream(data)
    header = dataclasses.replace(stream.header, **fields)  # type: ignore[arg-type]
    return write_stream(dataclasses.replace(stream, header=header))


def desynchronised(data: bytes) -> bytes:
    return with_header(data, symbol_crc=read_stream(data).header.symbol_crc ^ 1)


def psnr_rgb_db(x: NDArray[np.uint8], x_hat: NDArray[np.uint8]) -> float:
    mse = np.mean((x.astype(float) - x_hat.astype(float)) ** 2)
    return float(10 * np.log10(255**2 / mse))


def other_symbols(_data: bytes) -> None:
    raise DesyncError("other symbols")
