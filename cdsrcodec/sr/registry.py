"""Which 4x upscalers there are, and what each one reads: a codec's latents, or any picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cdsrcodec.errors import ModelError
from cdsrcodec.weights import WEIGHTS_FOLDER

LATENT_CODEC = "cdsr1"
"""The codec whose latents are enlarged; as in models.registry, which stands beside this."""
UPSCALE: Final = 4
"""What all of them enlarge each side by."""


@dataclass(frozen=True)
class UpscalerEntry:
    """One 4x upscaler.

    Attributes:
        name: what `--upscaler` calls it.
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


def _latent_network(name: str) -> UpscalerEntry:
    return UpscalerEntry(name, LATENT_CODEC, WEIGHTS_FOLDER / LATENT_CODEC / f"{name}.safetensors")


INTERPOLATIONS = ("bicubic", "lanczos")
UPSCALERS = (
    _latent_network("latent"),
    _latent_network("latent-perceptual"),
    *(UpscalerEntry(name) for name in INTERPOLATIONS),
    _pixel_network("edsr", "edsr"),
    _pixel_network("edsr-b2", "edsr"),
    _pixel_network("wdsr", "wdsr"),
    _pixel_network("srgan", "srgan"),
    UpscalerEntry("esrgan"),
)
"""`edsr-b2` was trained on pictures that cdsr1 had coded, baseline 2 of study B."""
DEFAULT_UPSCALER = UPSCALERS[0].name
"""Of a stream at 4x."""
PIXEL_UPSCALERS = tuple(entry.name for entry in UPSCALERS if entry.codec is None)
WEIGHTED_UPSCALERS = tuple(entry.name for entry in UPSCALERS if entry.takes_weights)


def upscaler_for(name: str, codec: str | None) -> UpscalerEntry:
    """The upscaler of this name for files of this codec, or for a picture if that is None.

    Raises:
        ModelError: there is none; the message names those that fit.
    """
    fitting = {entry.name: entry for entry in UPSCALERS if entry.codec in (codec, None)}
    if name not in fitting:
        what = f"files of {codec}" if codec else "pictures"
        usable = [entry.name for entry in fitting.values() if entry.is_available]
        raise ModelError(
            f"the upscaler {name!r} does not read {what}. hint: use {' or '.join(usable)}"
        )
    return fitting[name]


def weights_of(entry: UpscalerEntry) -> Path:
    """The shipped weights of an upscaler that has a file of them.

    Raises:
        ModelError: this version has none.
    """
    if entry.file is None or not entry.file.is_file():
        hint = "name a file with --weights, which cdsrcodec train enlarger and export make"
        if not entry.takes_weights:
            hint = "use another one, a version that has them, or train and export them"
        raise ModelError(
            f"this version has no weights for the upscaler {entry.name!r}. hint: {hint}"
        )
    return entry.file
