"""Which 4x upscalers there are, and what each one reads: a codec's latents, or any picture."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cdsrcodec.errors import ModelError
from cdsrcodec.weights import WEIGHTS_FOLDER

LATENT_CODECS = ("cdsr1", "bmshj2018-hyperprior-gain")
"""The codecs whose latents are enlarged; as in models.registry, which stands beside this."""
UPSCALE: Final = 4
"""What all of them enlarge each side by."""


@dataclass(frozen=True)
class UpscalerEntry:
    """One 4x upscaler, of latents for one codec.

    Attributes:
        name: what `--upscaler` calls it; the same for several codecs where users need not care.
        codec: name of the codec whose latents it was trained on; None if it enlarges pixels.
        file: its shipped weights, which may be missing; None if this package never has any.
        network: of those in `sr.enlargers`, the one that it is; None for another kind.
    """

    name: str
    codec: str | None = None
    file: Path | None = None
    network: str | None = None

    @property
    def is_available(self) -> bool:
        """Whether it needs no weights from elsewhere, or is known to find some: esrgan."""
        return self.file is None or self.file.is_file()

    @property
    def takes_weights(self) -> bool:
        """Whether a user may name a file of weights for it."""
        return self.network is not None or self.name == "esrgan"


def _pixel_network(name: str, network: str) -> UpscalerEntry:
    file = WEIGHTS_FOLDER / name / "enlarger.safetensors"
    return UpscalerEntry(name, file=file, network=network)


def _latent_network(name: str, codec: str) -> UpscalerEntry:
    return UpscalerEntry(name, codec, WEIGHTS_FOLDER / codec / f"{name}.safetensors")


INTERPOLATIONS = ("bicubic", "lanczos")
UPSCALERS = (
    *(_latent_network("latent", codec) for codec in LATENT_CODECS),
    _latent_network("latent-perceptual", "cdsr1"),
    *(UpscalerEntry(name) for name in INTERPOLATIONS),
    _pixel_network("edsr", "edsr"),
    _pixel_network("edsr-b2", "edsr"),
    _pixel_network("wdsr", "wdsr"),
    _pixel_network("srgan", "srgan"),
    UpscalerEntry("esrgan"),
)
"""`edsr-b2` was trained on pictures that cdsr1 had coded, baseline 2 of study B."""
UPSCALER_NAMES = tuple(dict.fromkeys(entry.name for entry in UPSCALERS))
DEFAULT_UPSCALER = UPSCALER_NAMES[0]
"""Of a stream at 4x."""
PIXEL_UPSCALERS = tuple(entry.name for entry in UPSCALERS if entry.codec is None)
WEIGHTED_UPSCALERS = tuple(entry.name for entry in UPSCALERS if entry.takes_weights)


def available_names(entries: Iterable[UpscalerEntry]) -> list[str]:
    """What those of the entries are called that are available, each name once."""
    return list(dict.fromkeys(entry.name for entry in entries if entry.is_available))


def upscaler_for(name: str, codec: str | None) -> UpscalerEntry:
    """The upscaler of this name for files of this codec, or for a picture if that is None.

    Raises:
        ModelError: there is none; the message names those that fit.
    """
    fitting = {entry.name: entry for entry in UPSCALERS if entry.codec in (codec, None)}
    if name not in fitting:
        what = f"files of {codec}" if codec else "pictures"
        raise ModelError(
            f"the upscaler {name!r} does not read {what}. hint: use {_usable_with(codec)}"
        )
    return fitting[name]


def _usable_with(codec: str | None) -> str:
    """For a hint: the upscalers that are available and read a codec's files, or pictures."""
    return " or ".join(available_names(e for e in UPSCALERS if e.codec in (codec, None)))


def weights_of(entry: UpscalerEntry) -> Path:
    """The shipped weights of an upscaler that has a file of them.

    Raises:
        ModelError: this version has none.
    """
    if entry.file is not None and entry.file.is_file():
        return entry.file
    what, hint = "", "name a file with --weights, which cdsrcodec train enlarger and export make"
    if entry.codec is not None:
        what, hint = f" and files of {entry.codec}", f"add --upscaler {_usable_with(entry.codec)}"
    raise ModelError(
        f"this version has no weights for the upscaler {entry.name!r}{what}. hint: {hint}"
    )
