"""The bytes of a .cdsr file: header, chunks and payload, checked and bounded.

Standard library only, so that listing a file imports neither numpy nor torch.
What the payload means is the business of `codec`. Specification: docs/format.md.
"""

from __future__ import annotations

from cdsrcodec.container.header import (
    FORMAT_VERSION,
    MAX_QUALITY_CODE,
    MAX_SIDE_PX,
    QUALITY_STEPS,
    Header,
    quality_code_of,
    quality_of_code,
)
from cdsrcodec.container.limits import Limits
from cdsrcodec.container.stream import Chunk, Stream, read_stream, write_stream

__all__ = [
    "FORMAT_VERSION",
    "MAX_QUALITY_CODE",
    "MAX_SIDE_PX",
    "QUALITY_STEPS",
    "Chunk",
    "Header",
    "Limits",
    "Stream",
    "quality_code_of",
    "quality_of_code",
    "read_stream",
    "write_stream",
]
