"""The Python interface: streams in memory (`streams`), files (`files`), enlargement, reports.

Importing it imports no torch: `info` needs none, and the functions that do
import it when they are called.
"""

from cdsrcodec.api.enlargement import upscale, upscale_file
from cdsrcodec.api.files import decode_file, encode_file, info_file, verify_file
from cdsrcodec.api.reports import ChunkInfo, DecodeReport, EncodeReport, StreamInfo
from cdsrcodec.api.streams import DEFAULT_QUALITY, Sr, decode, encode, info

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
