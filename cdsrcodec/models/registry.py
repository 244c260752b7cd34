"""Which codecs there are: name, id in the file, weight files.

Ids are never used again for another codec. The entropy tag is computed from the
content of the entropy file, not stored beside it, so it cannot go stale.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from cdsrcodec.errors import ModelError

WEIGHTS_FOLDER = Path(__file__).resolve().parent.parent / "weights"


@dataclass(frozen=True)
class CodecEntry:
    """One codec of the registry.

    Attributes:
        name: what `--codec` and `info` call it.
        model_id: its number in the file header.
        folder: of its weight files.
    """

    name: str
    model_id: int
    folder: Path

    @property
    def entropy_file(self) -> Path:
        """Integer networks, tables and gains: what decides which streams can be read."""
        return self.folder / "entropy.safetensors"

    @property
    def encoder_file(self) -> Path:
        """g_a and h_a."""
        return self.folder / "encoder.safetensors"

    @property
    def decoder_file(self) -> Path:
        """g_s."""
        return self.folder / "decoder.safetensors"

    def entropy_tag(self) -> bytes:
        """First 4 bytes of the SHA-256 of the entropy file.

        Raises:
            ModelError: the file is not there.
        """
        return _file_tag(self.entropy_file)


CODECS = {entry.name: entry for entry in (CodecEntry("cdsr1", 1, WEIGHTS_FOLDER / "cdsr1"),)}


def codec_named(name: str) -> CodecEntry:
    """The codec of this name.

    Raises:
        ModelError: there is none.
    """
    if name not in CODECS:
        raise ModelError(f"there is no codec {name!r}. hint: use one of {', '.join(CODECS)}")
    return CODECS[name]


def codec_of_stream(model_id: int, entropy_tag: bytes) -> CodecEntry:
    """The codec that wrote a stream.

    Raises:
        ModelError: the id is unknown, or the weights here are not those of the writer.
    """
    for entry in CODECS.values():
        if entry.model_id == model_id:
            break
    else:
        raise ModelError(
            f"the file was written by model {model_id}, which this version does not have. "
            "hint: upgrade cdsrcodec"
        )
    if entry.entropy_tag() != entropy_tag:
        raise ModelError(
            f"the file was written with other {entry.name} weights (tag {entropy_tag.hex()}, "
            f"here {entry.entropy_tag().hex()}). hint: decode it with the version that wrote it"
        )
    return entry


@cache
def _file_tag(path: Path) -> bytes:
    try:
        return hashlib.sha256(path.read_bytes()).digest()[:4]
    except OSError as error:
        raise ModelError(
            f"{path}: the weights cannot be read ({error.strerror}). hint: install cdsrcodec anew"
        ) from error
