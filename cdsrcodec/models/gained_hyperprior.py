"""Float transforms of `bmshj2018-hyperprior-gain`: the hyperprior with gain units.

    x --g_a--> y --* gain(level)--> y_gained --|.|, h_a--> z
    y_hat_gained --* inverse gain(level)--> y_hat --g_s--> x_hat

One network for all qualities, in the size that CompressAI's zoo has for one of the lower ones.

Source: Balle et al. 2018, arXiv:1802.01436; gain units of Cui et al. 2021, arXiv:2003.02012, with
which the interpolation between levels is that of `layers.blocks.at_level`. Differs from the
former in nothing else.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cdsrcodec.layers.blocks import gain_at, inverse_gain_at
from cdsrcodec.models.hyperprior import SMALL_CHANNELS, HyperpriorDecoder, HyperpriorEncoder

GAIN_LEVELS = 6
"""Rows of the tables: qualities 1 to 6, and all real ones between."""
ROUNDING_RATE_WEIGHT = 0.02
"""As that of models.cdsr1."""
_LATENT_CHANNELS = SMALL_CHANNELS[1]


class GainedEncoder(HyperpriorEncoder):
    """What encoding runs in float: g_a, h_a and the gains."""

    log_gain: Tensor

    def __init__(self) -> None:
        super().__init__(*SMALL_CHANNELS)
        self.register_buffer("log_gain", torch.zeros(GAIN_LEVELS, _LATENT_CHANNELS))

    def to_latent(self, features: Tensor, level: Tensor) -> Tensor:
        """Gained latent (B, 192, H/16, W/16) of y at levels (B,)."""
        return features * gain_at(self.log_gain, level)


class GainedDecoder(HyperpriorDecoder):
    """What native decoding runs in float: g_s and the gains."""

    log_gain: Tensor

    def __init__(self) -> None:
        super().__init__(*SMALL_CHANNELS)
        self.log_gain_correction = nn.Parameter(torch.zeros(GAIN_LEVELS, _LATENT_CHANNELS))
        self.register_buffer("log_gain", torch.zeros(GAIN_LEVELS, _LATENT_CHANNELS))

    def dequantise(self, y_hat_gained: Tensor, level: Tensor) -> Tensor:
        """y_hat (B, 192, h, w): the rounded domain times the inverse gain at levels (B,)."""
        return y_hat_gained * inverse_gain_at(self.log_gain, self.log_gain_correction, level)
