"""cdsrcodec: a learned image codec whose files decode at native size or 4x as large.

    data = cdsrcodec.encode(image, quality=4.0)
    small = cdsrcodec.decode(data)
    large = cdsrcodec.decode(data, sr=4)

Importing the package imports neither torch nor numpy nor Pillow (PEP 562): the
public names are looked up in `cdsrcodec.api` when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from cdsrcodec.errors import CdsrError

if TYPE_CHECKING:
    from cdsrcodec.api import (
        DecodeReport,
        EncodeReport,
        StreamInfo,
        decode,
        decode_file,
        encode,
        encode_file,
        info,
        info_file,
        upscale,
        upscale_file,
        verify_file,
    )

__version__ = "0.10.0"

__all__ = [
    "CdsrError",
    "DecodeReport",
    "EncodeReport",
    "StreamInfo",
    "decode",
    "decode_file",
    "encode",
    "encode_file",
    "info",
    "info_file",
    "upscale",
    "upscale_file",
    "verify_file",
]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("cdsrcodec.api"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
