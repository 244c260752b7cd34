"""The Python interface: streams in memory (`streams`), files (`files`) and what they tell.

Importing it imports no torch: `info` needs none, and the functions that do
import it when they are called.
"""

from cdsrcodec.api.files import decode_file, encode_file, info_file, upscale_file, verify_file
from cdsrcodec.api.reports import ChunkInfo, DecodeReport, EncodeReport, StreamInfo
from cdsrcodec.api.streams import Sr, decode, encode, info, upscale
from cdsrcodec.models.registry import DEFAULT_QUALITY

__all__ = [
    "DEFAULT_QUALITY",
    "ChunkInfo",
    "DecodeReport",
    "EncodeReport",
    "Sr",
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
