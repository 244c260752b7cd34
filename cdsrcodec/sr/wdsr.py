"""WDSR-B, the 4x network of blocks that are wide before their activation."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from cdsrcodec.layers.blocks import conv3x3
from cdsrcodec.sr.pixel_enlarger import PixelEnlarger, zero_
from cdsrcodec.sr.registry import UPSCALE

EXPANSION = 6
LINEAR = 0.8  # of the channels, between the two convolutions of low rank


class WdsrBlock(nn.Module):
    """x + 3x3 of 1x1 of relu of a wide 1x1: (B, C, H, W) -> the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        wide, narrow = EXPANSION * channels, int(LINEAR * channels)
        self.expand = nn.Conv2d(channels, wide, 1)
        self.reduce = nn.Conv2d(wide, narrow, 1)
        self.conv = conv3x3(narrow, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Add the block's correction to x."""
        correction: Tensor = self.conv(self.reduce(F.relu_(self.expand(x))))
        return x + correction


class Wdsr(PixelEnlarger):
    """WDSR-B with as many blocks and channels as EDSR's baseline: 1.2 M parameters.

    Args:
        channels: of the features between blocks.
        blocks: residual blocks.

    Source: Yu et al. 2018, arXiv:1808.08718, which normalises weights in training;
    here they are the products. Differs: adds to the bicubic enlargement.
    """

    reach_px = 18  # head, blocks and tail see one pixel each; skip sees two

    def __init__(self, channels: int = 64, blocks: int = 16) -> None:
        super().__init__()
        self.head = conv3x3(3, channels)
        self.body = nn.Sequential(*(WdsrBlock(channels) for _ in range(blocks)))
        self.tail = zero_(conv3x3(channels, 3 * UPSCALE**2))
        self.skip = zero_(nn.Conv2d(3, 3 * UPSCALE**2, 5, padding=2))

    def correction(self, x: Tensor) -> Tensor:
        """See PixelEnlarger."""
        return F.pixel_shuffle(self.tail(self.body(self.head(x))) + self.skip(x), UPSCALE)
