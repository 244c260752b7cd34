"""The networks that enlarge latents, before they have weights: each has its codec's synthesis."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from cdsrcodec.models.cdsr1 import LEVELS, SynthesisTransform
from cdsrcodec.models.gained_hyperprior import GAIN_LEVELS
from cdsrcodec.models.hyperprior import SMALL_CHANNELS, HyperpriorSynthesis
from cdsrcodec.models.registry import BMSHJ2018_HYPERPRIOR_GAIN, CDSR1
from cdsrcodec.sr.latent import LatentUpscaler, Synthesis


class _Half(NamedTuple):
    """What a codec gives to its upscaler."""

    synthesis: Callable[[], Synthesis]
    levels: int


_HALVES = {
    CDSR1: _Half(SynthesisTransform, LEVELS),
    BMSHJ2018_HYPERPRIOR_GAIN: _Half(partial(HyperpriorSynthesis, *SMALL_CHANNELS), GAIN_LEVELS),
}


def new_upscaler(codec: str, blocks: int) -> LatentUpscaler:
    """An upscaler with random weights for the latents of a codec, one of sr.registry.LATENT_CODECS.

    Args:
        codec: its name.
        blocks: of the trunk.
    """
    half = _HALVES[codec]
    return LatentUpscaler(half.synthesis(), levels=half.levels, blocks=blocks)
