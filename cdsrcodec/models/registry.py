"""Which codecs there are: names, numbers in the file, qualities, and their weights.

A codec has weights in the package, one network for all qualities, or weights of each quality
that are installed (models.store). Numbers are never used again for another codec. Entropy tags are
computed from the content of files, not stored beside them, but for those of earlier versions.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from cdsrcodec.container import MAX_QUALITY_CODE, quality_of_code
from cdsrcodec.errors import ModelError
from cdsrcodec.models import store
from cdsrcodec.weights import WEIGHTS_FOLDER

CDSR1 = "cdsr1"
BMSHJ2018_HYPERPRIOR = "bmshj2018-hyperprior"
BMSHJ2018_HYPERPRIOR_GAIN = "bmshj2018-hyperprior-gain"
METRICS = ("mse", "ms-ssim")
DEFAULT_METRIC = METRICS[0]
DEFAULT_QUALITY = 4.0
MAX_EFFORT = 9
TAG_BYTES = 4
HASH_SUFFIX = "_sha256"
"""The entropy file of an installed model names the SHA-256 of the other two in its metadata, as
encoder_sha256 and decoder_sha256, so that its tag stands for them too."""


@dataclass(frozen=True)
class Codec:
    """What is the same whatever the weights.

    Attributes:
        name: what `--codec` and `info` call it.
        model_ids: its number in the file header, by what its weights were trained for.
        qualities: all that it codes at, rising.
        folder: of its weights in the package; None if they are installed.
        takes_effort: whether its encoder refines latents.
        former_tags: of entropy parts that only earlier versions wrote with, and the tag of the
            file that holds each: the current one without its counted tables may be a former one.
    """

    name: str
    model_ids: Mapping[str, int]
    qualities: tuple[float, ...]
    folder: Path | None = None
    takes_effort: bool = False
    former_tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def takes_whole_qualities(self) -> bool:
        """Whether every quality is a whole number."""
        return all(quality.is_integer() for quality in self.qualities)


@dataclass(frozen=True)
class CodecEntry:
    """Weights of a codec.

    Attributes:
        name: of the codec.
        model_id: its number in the file header.
        folder: of the weight files.
        metric: what they were trained for.
        quality: the one that they are for; None for all.
        former_tag, file_tag: as of Codec, of a part that only earlier versions wrote with.
    """

    name: str
    model_id: int
    folder: Path
    metric: str = DEFAULT_METRIC
    quality: int | None = None
    former_tag: str | None = None
    file_tag: str | None = None

    @property
    def entropy_file(self) -> Path:
        """Integer networks, tables and gains: what decides which streams can be read."""
        suffix = f"-{self.file_tag}" if self.file_tag and self.file_tag == self.former_tag else ""
        return self.folder / f"entropy{suffix}.safetensors"

    @property
    def encoder_file(self) -> Path:
        """g_a and h_a."""
        return self.folder / "encoder.safetensors"

    @property
    def decoder_file(self) -> Path:
        """g_s."""
        return self.folder / "decoder.safetensors"

    @property
    def files(self) -> tuple[Path, Path, Path]:
        """All three weight files."""
        return self.entropy_file, self.encoder_file, self.decoder_file

    @property
    def one_quality(self) -> int:
        """The quality of weights that are for one."""
        assert self.quality is not None
        return self.quality

    def entropy_tag(self) -> bytes:
        """First 4 bytes of the SHA-256 of the entropy file, or of the one that a former part had.

        Raises:
            ModelError: the file is not there, or not the one that an installed model is named by.
        """
        tag = _file_tag(self.entropy_file)
        if not (self.is_named_by(tag) if self.file_tag is None else tag.hex() == self.file_tag):
            text = f"{self.entropy_file}: not the weights that were installed, their tag is "
            raise ModelError(f"{text}{tag.hex()}. hint: {how_to_mend(self.entropy_file)}")
        return tag if self.former_tag is None else bytes.fromhex(self.former_tag)

    def is_named_by(self, tag: bytes) -> bool:
        """Whether the name of folder or file agrees with an entropy tag, where it has one."""
        if self.former_tag is not None:
            return tag.hex() == self.former_tag
        return self.quality is None or self.folder.name.endswith(f"-{tag.hex()}")


_REAL_QUALITIES = tuple(quality_of_code(code) for code in range(MAX_QUALITY_CODE + 1))
_LAST_GAINED_QUALITY = 6  # as models.gained_hyperprior has rows
CODECS = {
    codec.name: codec
    for codec in (
        Codec(
            CDSR1,
            {"mse": 1},
            _REAL_QUALITIES,
            WEIGHTS_FOLDER / CDSR1,
            takes_effort=True,
            former_tags={"72383f26": "72383f26", "b27b82ab": "ae250cd6"},  # to 0.4.0, to 0.6.0
        ),
        Codec(BMSHJ2018_HYPERPRIOR, {"mse": 2, "ms-ssim": 3}, tuple(map(float, range(1, 9)))),
        Codec(
            BMSHJ2018_HYPERPRIOR_GAIN,
            {"mse": 4},
            tuple(quality for quality in _REAL_QUALITIES if quality <= _LAST_GAINED_QUALITY),
            WEIGHTS_FOLDER / BMSHJ2018_HYPERPRIOR_GAIN,
        ),
    )
}


def check_settings(
    name: str, *, quality: float | None = None, metric: str = DEFAULT_METRIC, effort: int = 0
) -> None:
    """Refuse settings that a codec does not have, whatever its weights.

    Args:
        name: of the codec.
        quality: None if it is to be found.
        metric: what the weights are trained for.
        effort: 0..9; 0 for none.

    Raises:
        ValueError: it has no such quality, metric or effort.
        ModelError: there is no such codec.
    """
    codec = _find(name)
    first, last = codec.qualities[0], codec.qualities[-1]
    if quality is not None and not first <= quality <= last:
        raise ValueError(f"quality must be {first:g} to {last:g}, not {quality}")
    if quality is not None and codec.takes_whole_qualities and quality not in codec.qualities:
        raise ValueError(f"quality of {name} must be a whole number, not {quality}")
    if metric not in codec.model_ids:
        raise ValueError(f"{name} has weights for {' and '.join(codec.model_ids)}, not {metric}")
    if effort not in range(MAX_EFFORT + 1):
        raise ValueError(f"effort must be 0 to {MAX_EFFORT}, not {effort}")
    if effort and not codec.takes_effort:
        raise ValueError(f"effort must be 0 with {name}, not {effort}")


def codec_named(
    name: str, quality: float = DEFAULT_QUALITY, *, metric: str = DEFAULT_METRIC
) -> CodecEntry:
    """The weights to encode with; name, quality and metric have passed `check_settings`.

    Raises:
        ModelError: there is no such codec, or none or several of such weights are installed.
    """
    fitting = [e for e in entries_of(name, metric) if e.quality in (None, quality)]
    if not fitting:
        raise ModelError(
            f"no weights of {name} for quality {quality:g} and {metric} are installed. "
            f"hint: {how_to_install(name, quality, metric)}"
        )
    if len(fitting) > 1:
        names = " and ".join(entry.folder.name for entry in fitting)
        raise ModelError(
            f"several weights fit, {names}. hint: cdsrcodec models remove all but one of them"
        )
    return fitting[0]


def qualities_of(name: str, metric: str = DEFAULT_METRIC) -> tuple[float, ...]:
    """All qualities that a codec can code at with the weights that are here, rising.

    Raises:
        ModelError: no such codec, or no weights of it.
    """
    found = {entry.quality for entry in entries_of(name, metric)}
    if not found:
        raise ModelError(
            f"no weights of {name} for {metric} are installed. "
            f"hint: cdsrcodec models pull {name} --metric {metric}"
        )
    return tuple(q for q in CODECS[name].qualities if None in found or q in found)


def entries_of(name: str, metric: str = DEFAULT_METRIC) -> list[CodecEntry]:
    """All weights of a codec that are here, for a metric.

    Raises:
        ModelError: there is no such codec.
    """
    codec = _find(name)
    if codec.folder is not None:
        return [CodecEntry(name, codec.model_ids[metric], codec.folder, metric)]
    return [entry for entry in installed() if (entry.name, entry.metric) == (name, metric)]


def former_entries_of(name: str, metric: str = DEFAULT_METRIC) -> list[CodecEntry]:
    """Weights of a codec in the package that files of earlier versions need.

    Raises:
        ModelError: there is no such codec.
    """
    return [
        replace(entry, former_tag=tag, file_tag=file_tag)
        for entry in entries_of(name, metric)
        for tag, file_tag in CODECS[name].former_tags.items()
    ]


def model_name(name: str, metric: str, quality: int, tag: bytes) -> str:
    """What installed weights are called: bmshj2018-hyperprior-mse-4-9f3a7c51."""
    return f"{name}-{metric}-{quality}-{tag.hex()}"


def installed() -> list[CodecEntry]:
    """Weights that are installed, by name; what else lies in the folder is passed over.

    Raises:
        FileAccessError: the folder cannot be read.
    """
    found = []
    for folder in store.installed_folders():
        for codec in (codec for codec in CODECS.values() if codec.folder is None):
            metrics = "|".join(codec.model_ids)
            match = re.fullmatch(rf"{codec.name}-({metrics})-(\d)-[0-9a-f]{{8}}", folder.name)
            if match:
                model_id = codec.model_ids[match[1]]
                found.append(CodecEntry(codec.name, model_id, folder, match[1], int(match[2])))
    return found


def shipped() -> list[CodecEntry]:
    """Weights that are in the package."""
    return [codec_named(codec.name) for codec in CODECS.values() if codec.folder is not None]


def how_to_mend(file: Path) -> str:
    """The hint of an error about a weight file that is missing or damaged."""
    if file.is_relative_to(store.models_folder()):
        return f"cdsrcodec models remove {file.parent.name}, and pull or import it again"
    return "install cdsrcodec anew"


def how_to_install(name: str, quality: float, metric: str) -> str:
    """The hint of an error about weights that are not installed."""
    return (
        f"cdsrcodec models pull {name} -q {quality:g} --metric {metric}, "
        "or models import the checkpoint"
    )


def _find(name: str) -> Codec:
    if name not in CODECS:
        raise ModelError(f"there is no codec {name!r}. hint: use one of {', '.join(CODECS)}")
    return CODECS[name]


@cache
def _file_tag(path: Path) -> bytes:
    try:
        return hashlib.sha256(path.read_bytes()).digest()[:TAG_BYTES]
    except OSError as error:
        raise ModelError(
            f"{path}: the weights cannot be read ({error.strerror}). hint: {how_to_mend(path)}"
        ) from error
