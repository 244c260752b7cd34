"""A checkpoint made an installed model, all of it or nothing."""

from __future__ import annotations

import hashlib
from pathlib import Path

from cdsrcodec.errors import ModelError
from cdsrcodec.imageio.writer import write_bytes
from cdsrcodec.models import installing
from cdsrcodec.models.registry import (
    CODECS,
    TAG_BYTES,
    CodecEntry,
    check_settings,
    model_name,
)
from cdsrcodec.zoo.checkpoint import read_checkpoint
from cdsrcodec.zoo.conversion import convert
from cdsrcodec.zoo.origin import ORIGIN_FILE, Origin


def import_checkpoint(file: Path, codec: str, quality: int, metric: str) -> CodecEntry:
    """Convert a checkpoint and install it under a name that follows from its content.

    Args:
        file: a checkpoint of CompressAI's layout: .pth, .pth.tar or .safetensors.
        codec: one of the registry without weights in the package.
        quality: what the weights are for.
        metric: what they were trained for.

    Raises:
        ValueError: the codec has no such quality or metric, or takes no weights.
        ModelError: no such codec, or not a checkpoint of it.
        FileAccessError: it cannot be stored.
    """
    check_settings(codec, quality=quality, metric=metric)
    if CODECS[codec].folder is not None:
        raise ValueError(f"{codec} has its weights in the package")
    quality = int(quality)  # 4.0 passes too, but would be a part of name and tag
    state = read_checkpoint(file, quality)
    metadata = {"codec": codec, "metric": metric, "quality": str(quality)}
    try:
        files = convert(state, metadata)
    except ValueError as error:
        raise ModelError(f"{file}: it cannot be made exact: {error}. hint: take another") from error
    origin = Origin(file.name, _sha256(file))
    files[ORIGIN_FILE] = origin.to_json().encode()
    tag = hashlib.sha256(files["entropy.safetensors"]).digest()[:TAG_BYTES]
    with installing.new_folder() as folder:
        for name, data in files.items():
            write_bytes(data, folder / name)
        installed = installing.install(folder, model_name(codec, metric, quality, tag))
    return CodecEntry(codec, CODECS[codec].model_ids[metric], installed, metric, quality)


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
