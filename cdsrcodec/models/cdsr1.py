"""Transforms of the `cdsr1` codec: g_a, g_s, h_a and the quality tables.

    x --g_a(level)--> y --* gain(level)--> y_gained --h_a--> z
    y_hat --g_s(level)--> x_hat

Dense 3x3 convolutions throughout: on CPUs they run ten times closer to peak
speed than depthwise ones (docs/architecture.md has the measurement).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cdsrcodec.layers.blocks import (
    LEAKY_SLOPE,
    at_level,
    conv3x3,
    gain_at,
    inverse_gain_at,
    residual_blocks,
)
from cdsrcodec.models.interface import DecoderNetwork, EncoderNetwork

LATENT_CHANNELS = 224
HYPER_CHANNELS = 128
LEVELS = 8
LMBDAS = (0.0018, 0.0035, 0.0067, 0.0130, 0.0250, 0.0483, 0.0932, 0.1800)
"""RD weights of qualities 1..8 (Balle et al. 2018 as trained by CompressAI)."""
ROUNDING_RATE_WEIGHT = 0.02
"""Squared rounding error, of unit steps, that the encoder accepts to save one bit."""


class AnalysisTransform(nn.Module):
    """g_a: picture to latent.

    Shapes, H and W divisible by 16:
        x: (B, 3, H, W) float, RGB in [0, 1].
        scale8: (B, 128, 1, 1), row of `QualityTables.g_a_scale8`.
        returns: y (B, 224, H/16, W/16).
    """

    def __init__(self) -> None:
        super().__init__()
        self.head = conv3x3(48, 64)
        self.blocks4 = residual_blocks(64, 1)
        self.down8 = conv3x3(64, 128, stride=2)
        self.blocks8 = residual_blocks(128, 2)
        self.down16 = conv3x3(128, 224, stride=2)
        self.blocks16 = residual_blocks(224, 2)
        self.tail = conv3x3(224, LATENT_CHANNELS)

    def features8(self, x: Tensor) -> Tensor:
        """The (B, 128, H/8, W/8) features up to where the quality enters."""
        h = self.blocks4(self.head(F.pixel_unshuffle(2 * x - 1, 4)))
        features: Tensor = self.blocks8(self.down8(h))
        return features

    def to_latent(self, features8: Tensor, scale8: Tensor) -> Tensor:
        """(B, 128, H/8, W/8) features to y at a quality."""
        y: Tensor = self.tail(self.blocks16(self.down16(features8 * scale8)))
        return y

    def forward(self, x: Tensor, scale8: Tensor) -> Tensor:
        """Analyse x."""
        return self.to_latent(self.features8(x), scale8)


class SynthesisTransform(nn.Module):
    """g_s: latent to native picture, the mirror of g_a.

    Shapes:
        y_hat: (B, 224, H/16, W/16).
        scale16, scale8: (B, 224, 1, 1) and (B, 128, 1, 1), rows of `QualityTables`.
        returns: x_hat (B, 3, H, W), nominally [0, 1]; the caller clamps.
    """

    channels16, channels8, channels4 = LATENT_CHANNELS, 128, 64

    def __init__(self) -> None:
        super().__init__()
        self.head = conv3x3(LATENT_CHANNELS, 224)
        self.blocks16 = residual_blocks(224, 2)
        self.up8 = conv3x3(224, 512)
        self.blocks8 = residual_blocks(128, 2)
        self.up4 = conv3x3(128, 256)
        self.blocks4 = residual_blocks(64, 2)
        self.tail = conv3x3(64, 48)

    def features4(self, y_hat: Tensor, scale16: Tensor, scale8: Tensor) -> Tensor:
        """The (B, 64, H/4, W/4) features that the last convolution turns into pixels."""
        h = self.blocks16(self.head(y_hat)) * scale16
        h = self.blocks8(F.pixel_shuffle(self.up8(h), 2)) * scale8
        features: Tensor = self.blocks4(F.pixel_shuffle(self.up4(h), 2))
        return features

    def to_pixels(self, features4: Tensor) -> Tensor:
        """(B, 64, H/4, W/4) features to the (B, 3, H, W) picture."""
        return F.pixel_shuffle(self.tail(features4), 4) / 2 + 0.5

    def forward(self, y_hat: Tensor, scale16: Tensor, scale8: Tensor) -> Tensor:
        """Synthesise x_hat."""
        return self.to_pixels(self.features4(y_hat, scale16, scale8))


class HyperAnalysis(nn.Sequential):
    """h_a: gained latent (B, 224, h, w) to z (B, 128, ceil(h/4), ceil(w/4)).

    It sees the latent after the gain, so the side information knows the quality.
    Indices 0, 2, 4 are the convolutions, as in CompressAI's h_a.
    """

    def __init__(self) -> None:
        super().__init__(
            conv3x3(LATENT_CHANNELS, HYPER_CHANNELS),
            nn.LeakyReLU(LEAKY_SLOPE),
            nn.Conv2d(HYPER_CHANNELS, HYPER_CHANNELS, 5, stride=2, padding=2),
            nn.LeakyReLU(LEAKY_SLOPE),
            nn.Conv2d(HYPER_CHANNELS, HYPER_CHANNELS, 5, stride=2, padding=2),
        )


class QualityTables(nn.Module):
    """Everything that depends on the quality: 8-row tables, linear between rows.

    `log_gain` fixes the meaning of the coded integers and is released with the
    entropy part; `g_a_scale8` belongs to the encoder, the others to the decoder.
    """

    def __init__(self) -> None:
        super().__init__()
        # The step of a quantiser goes as lambda^-1/2 at high rate.
        lmbdas = torch.tensor(LMBDAS)
        start = 0.5 * (lmbdas / LMBDAS[3]).log()
        self.log_gain = nn.Parameter(start[:, None].repeat(1, LATENT_CHANNELS))
        self.log_gain_correction = nn.Parameter(torch.zeros(LEVELS, LATENT_CHANNELS))
        self.g_a_scale8 = nn.Parameter(torch.ones(LEVELS, 128))
        self.g_s_scale16 = nn.Parameter(torch.ones(LEVELS, 224))
        self.g_s_scale8 = nn.Parameter(torch.ones(LEVELS, 128))

    def gain(self, level: Tensor) -> Tensor:
        """(B, 224, 1, 1) factor from y to the domain that is rounded."""
        return gain_at(self.log_gain, level)

    def inverse_gain(self, level: Tensor) -> Tensor:
        """(B, 224, 1, 1) factor back to y_hat, with the learnt correction."""
        return inverse_gain_at(self.log_gain, self.log_gain_correction, level)


def lmbda_at(level: Tensor, lmbdas: tuple[float, ...] = LMBDAS) -> Tensor:
    """RD weight of real levels 0..7, log-linear between those of 8: (B,) -> (B,)."""
    table = torch.tensor(lmbdas, device=level.device).log()[:, None]
    return at_level(table, level)[:, 0, 0, 0].exp()


class Encoder(EncoderNetwork):
    """What encoding runs in float: g_a, h_a, g_a's quality table and the gains."""

    log_gain: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.g_a = AnalysisTransform()
        self.h_a = HyperAnalysis()
        self.g_a_scale8 = nn.Parameter(torch.ones(LEVELS, 128))
        self.register_buffer("log_gain", torch.zeros(LEVELS, LATENT_CHANNELS))

    def features(self, x: Tensor) -> Tensor:
        """(B, 128, H/8, W/8) of x (B, 3, H, W) in [0, 1]: what all qualities share."""
        return self.g_a.features8(x)

    def to_latent(self, features: Tensor, level: Tensor) -> Tensor:
        """Gained latent (B, 224, H/16, W/16) of the features at levels (B,)."""
        y = self.g_a.to_latent(features, at_level(self.g_a_scale8, level))
        return y * gain_at(self.log_gain, level)

    def to_hyper(self, y_gained: Tensor) -> Tensor:
        """Z (B, 128, ceil(h/4), ceil(w/4))."""
        z: Tensor = self.h_a(y_gained)
        return z


class Decoder(DecoderNetwork):
    """What native decoding runs in float: g_s, its quality tables and the gains."""

    log_gain: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.g_s = SynthesisTransform()
        self.g_s_scale16 = nn.Parameter(torch.ones(LEVELS, 224))
        self.g_s_scale8 = nn.Parameter(torch.ones(LEVELS, 128))
        self.log_gain_correction = nn.Parameter(torch.zeros(LEVELS, LATENT_CHANNELS))
        self.register_buffer("log_gain", torch.zeros(LEVELS, LATENT_CHANNELS))

    def dequantise(self, y_hat_gained: Tensor, level: Tensor) -> Tensor:
        """y_hat (B, 224, h, w): the rounded domain times the inverse gain at levels (B,)."""
        return y_hat_gained * inverse_gain_at(self.log_gain, self.log_gain_correction, level)

    def forward(self, y_hat: Tensor, level: Tensor) -> Tensor:
        """x_hat (B, 3, H, W) of y_hat (B, 224, H/16, W/16) at levels (B,)."""
        scale16, scale8 = at_level(self.g_s_scale16, level), at_level(self.g_s_scale8, level)
        x_hat: Tensor = self.g_s(y_hat, scale16, scale8)
        return x_hat
