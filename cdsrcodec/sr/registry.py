"""Which 4x upscalers there are, and what each one reads: a codec's latents, or any picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cdsrcodec.errors import ModelError

WEIGHTS_FOLDER = Path(__file__).resolve().parent.parent / "weights"


@dataclass(frozen=True)
class UpscalerEntry:
    """One 4x upscaler.

    Attributes:
        name: what `--upscaler` calls it.
        codec: name of the codec whose latents it was trained on; None if it enlarges pixels.
        file: its shipped weights; None if it has none, or not with this package.
    """

    name: str
    codec: str | None = None
    file: Path | None = None


UPSCALERS = (
    UpscalerEntry("latent", "cdsr1", WEIGHTS_FOLDER / "cdsr1" / "latent.safetensors"),
    UpscalerEntry("bicubic"),
    UpscalerEntry("lanczos"),
    UpscalerEntry("esrgan"),
)
PIXEL_UPSCALERS = tuple(entry.name for entry in UPSCALERS if entry.codec is None)


def upscaler_for(name: str, codec: str | None) -> UpscalerEntry:
    """The upscaler of this name for files of this codec, or for a picture if that is None.

    Raises:
        ModelError: there is none; the message names those that fit.
    """
    fitting = {entry.name: entry for entry in UPSCALERS if entry.codec in (codec, None)}
    if name not in fitting:
        what = f"files of {codec}" if codec else "pictures"
        raise ModelError(
            f"the upscaler {name!r} does not read {what}. hint: use {' or '.join(fitting)}"
        )
    return fitting[name]
