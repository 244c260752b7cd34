"""The Python interface: streams in memory (`streams`), files, enlargement, models, reports.

Importing it imports no torch: `info` needs none, and the functions that do
import it when they are called.
"""

from cdsrcodec.api.enlargement import upscale, upscale_file
from cdsrcodec.api.files import decode_file, encode_file, info_file, verify_file
from cdsrcodec.api.models import (
    import_model,
    list_models,
    models_folder,
    pull_model,
    remove_model,
    show_model,
)
from cdsrcodec.api.reports import ChunkInfo, DecodeReport, EncodeReport, ModelInfo, StreamInfo
from cdsrcodec.api.streams import Sr, decode, encode, info
from cdsrcodec.models.registry import DEFAULT_QUALITY

__all__ = [
    "DEFAULT_QUALITY",
    "ChunkInfo",
    "DecodeReport",
    "EncodeReport",
    "ModelInfo",
    "Sr",
    "StreamInfo",
    "decode",
    "decode_file",
    "encode",
    "encode_file",
    "import_model",
    "info",
    "info_file",
    "list_models",
    "models_folder",
    "pull_model",
    "remove_model",
    "show_model",
    "upscale",
    "upscale_file",
    "verify_file",
]
