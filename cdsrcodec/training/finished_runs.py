"""What finished runs leave: a file of averaged float weights, with what they are of."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from safetensors import SafetensorError, safe_open

from cdsrcodec.errors import TrainingError
from cdsrcodec.models.registry import CDSR1
from cdsrcodec.sr.enlargers import NETWORK_KEY, NETWORKS
from cdsrcodec.sr.latent import CODEC_KEY
from cdsrcodec.sr.registry import LATENT_CODECS
from cdsrcodec.training.codec_recipe import TRAINED

CODEC_FILE = "codec.safetensors"
HYPERPRIOR_FILE = "hyperprior.safetensors"
GAINED_FILE = "gained.safetensors"
UPSCALER_FILE = "upscaler.safetensors"
PERCEPTUAL_FILE = "perceptual.safetensors"
ENLARGER_FILE = "enlarger.safetensors"
BLOCKS_KEY = "blocks"
PART_KEY = "part"
# Kept in their metadata.
_SETTINGS = {
    CODEC_FILE: (PART_KEY,),
    HYPERPRIOR_FILE: ("quality",),
    GAINED_FILE: ("levels",),
    UPSCALER_FILE: (BLOCKS_KEY, CODEC_KEY),
    PERCEPTUAL_FILE: (BLOCKS_KEY, CODEC_KEY),
    ENLARGER_FILE: (NETWORK_KEY,),
}
_OLDER = {CODEC_KEY: CDSR1}  # what a file means that lacks it
_CHOICES = {PART_KEY: tuple(TRAINED), NETWORK_KEY: tuple(NETWORKS), CODEC_KEY: LATENT_CODECS}


class FinishedRun(NamedTuple):
    """Attributes: `file` of weights, and the `settings` that its metadata keep."""

    file: Path
    settings: dict[str, str]


def find_finished(run: Path) -> FinishedRun:
    """What the finished run in a folder left.

    Raises:
        TrainingError: the folder holds no finished run, or a damaged one.
    """
    for name, keys in _SETTINGS.items():
        file = run / name
        if not file.is_file():
            continue
        try:
            with safe_open(file, "pt") as opened:
                stored = _OLDER | (opened.metadata() or {})
            settings = {key: stored[key] for key in keys}
            for key in settings.keys() & _CHOICES.keys():
                if settings[key] not in _CHOICES[key]:
                    raise KeyError(key)
            return FinishedRun(file, settings)
        except (OSError, SafetensorError, KeyError) as error:
            raise TrainingError(
                f"{file}: damaged, or not written by a run. "
                "hint: start the run again with the same --output, which writes it anew"
            ) from error
    raise TrainingError(
        f"{run}: no finished run: there is no {', '.join(_SETTINGS)}. "
        "hint: start `cdsrcodec train` of codec, upscaler or enlarger again with this --output"
    )
