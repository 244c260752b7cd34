"""Which 4x decoders there are, and which codec's latents each one reads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cdsrcodec.errors import ModelError

WEIGHTS_FOLDER = Path(__file__).resolve().parent.parent / "weights"


@dataclass(frozen=True)
class UpscalerEntry:
    """One 4x decoder.

    Attributes:
        name: what `--upscaler` calls it.
        codec: name of the codec whose latents it was trained on.
        file: its weights.
    """

    name: str
    codec: str
    file: Path


UPSCALERS = (UpscalerEntry("latent", "cdsr1", WEIGHTS_FOLDER / "cdsr1" / "latent.safetensors"),)


def upscaler_for(name: str, codec: str) -> UpscalerEntry:
    """The upscaler of this name for the latents of this codec.

    Raises:
        ModelError: there is none; the message names those that fit.
    """
    fitting = {entry.name: entry for entry in UPSCALERS if entry.codec == codec}
    if name not in fitting:
        raise ModelError(
            f"the upscaler {name!r} does not read files of {codec}. "
            f"hint: use {' or '.join(fitting) or 'native size'}"
        )
    return fitting[name]
