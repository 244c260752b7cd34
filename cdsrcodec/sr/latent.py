"""`latent`: the 4x decoder that starts from the quantised latent."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cdsrcodec.layers.blocks import at_level, conv3x3, residual_blocks
from cdsrcodec.sr.registry import UPSCALE

WIDTH = 64
CODEC_KEY = "codec"
"""In the metadata of weights: the codec whose latents they are for. Older files are for cdsr1."""


class Synthesis(Protocol):
    """What is taken over from a codec's g_s, a module.

    Attributes:
        channels16, channels8: of the scales that condition it, one for each quality: (B, C, 1, 1)
            factors of features at H/16 and H/8.
        channels4: of the features at H/4.
    """

    channels16: int
    channels8: int
    channels4: int

    def features4(self, y_hat: Tensor, scale16: Tensor, scale8: Tensor) -> Tensor:
        """(B, channels4, H/4, W/4) features of y_hat."""

    def to_pixels(self, features4: Tensor) -> Tensor:
        """(B, 3, H, W) picture of those features."""


class LatentUpscaler(nn.Module):
    """Synthesise a 4x picture straight from the quantised latent.

        y_hat --synthesis--> features at H/4 --expand, pixel shuffle--> features at H
                    |                                                       | + head(RGB)
                    +--> small RGB --bicubic--> base --(+)<-- pixel shuffle, trunk

    The trunk sees the small RGB too: that is what is alike at all positions of a 4x4
    cell, which features at H/4 turned to native size are only after long training.

    `synthesis` starts as a copy of the codec's g_s and is trained on, so it is
    not g_s any more: the small RGB is a base that the trunk corrects, it is
    neither rounded nor the picture that native decoding gives.

    Shapes:
        y_hat: (B, M, h, w) float, dequantised (means added back, gain undone).
        level: (B,) real quality level 0..levels - 1.
        returns: x_sr (B, 3, 64 h, 64 w) RGB, nominally [0, 1]; the caller clamps.

    Args:
        synthesis: a g_s, as a module.
        levels: rows of the quality tables.
        blocks: residual blocks of the trunk, at native size.

    Source: trunk after EDSR (Lim et al. 2017, arXiv:1707.02921), sub-pixel
    convolution (Shi et al. 2016, arXiv:1609.05158). Differs: the input is a
    latent, one network serves all qualities, and one pixel shuffle makes the 4x
    where EDSR has two stages of 2x, which cost twelve times as much here.
    """

    def __init__(self, synthesis: Synthesis, *, levels: int, blocks: int) -> None:
        super().__init__()
        self.synthesis = synthesis
        self.scale16 = nn.Parameter(torch.ones(levels, synthesis.channels16))
        self.scale8 = nn.Parameter(torch.ones(levels, synthesis.channels8))
        self.head = conv3x3(3, WIDTH)
        self.expand = conv3x3(synthesis.channels4, WIDTH * 16)
        self.trunk_scale = nn.Parameter(torch.ones(levels, WIDTH))
        self.trunk = residual_blocks(WIDTH, blocks)
        self.tail = conv3x3(WIDTH, 3 * UPSCALE**2)
        with torch.no_grad():
            for parameter in self.expand.parameters():
                parameter.mul_(0.1)
            # Begin as the bicubic enlargement: every step from there is an improvement.
            for parameter in self.tail.parameters():
                parameter.zero_()

    def forward(self, y_hat: Tensor, level: Tensor) -> Tensor:
        """Synthesise x_sr."""
        features4 = self.synthesis.features4(
            y_hat, at_level(self.scale16, level), at_level(self.scale8, level)
        )
        small = self.synthesis.to_pixels(features4)
        # In float32, as autocast has it on CPUs, but not on GPUs.
        base = F.interpolate(
            small.float(), scale_factor=UPSCALE, mode="bicubic", align_corners=False
        )
        h = self.head(small) + F.pixel_shuffle(self.expand(features4), 4)
        h = h * at_level(self.trunk_scale, level)
        correction = F.pixel_shuffle(self.tail(h + self.trunk(h)), UPSCALE)
        return base + correction
