"""EDSR, the 4x network of residual blocks without normalisation."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from cdsrcodec.layers.blocks import conv3x3
from cdsrcodec.sr.pixel_enlarger import PixelEnlarger, zero_


class EdsrBlock(nn.Module):
    """x + conv2(relu(conv1(x))), both 3x3: (B, C, H, W) -> the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = conv3x3(channels, channels)
        self.conv2 = conv3x3(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Add the block's correction to x."""
        correction: Tensor = self.conv2(F.relu_(self.conv1(x)))
        return x + correction


class Edsr(PixelEnlarger):
    """EDSR of the baseline size: 1.5 M parameters, 2.0 MMAC per pixel of x.

    Args:
        channels: of all features.
        blocks: residual blocks.

    Source: Lim et al. 2017, arXiv:1707.02921. Differs: adds to the bicubic enlargement.
    """

    reach_px = 36  # 35 convolutions of 3x3 at the size of x, the others at 2x and 4x

    def __init__(self, channels: int = 64, blocks: int = 16) -> None:
        super().__init__()
        self.head = conv3x3(3, channels)
        self.body = nn.Sequential(
            *(EdsrBlock(channels) for _ in range(blocks)), conv3x3(channels, channels)
        )
        self.up1 = conv3x3(channels, 4 * channels)
        self.up2 = conv3x3(channels, 4 * channels)
        self.tail = zero_(conv3x3(channels, 3))

    def correction(self, x: Tensor) -> Tensor:
        """See PixelEnlarger."""
        h = self.head(x)
        h = h + self.body(h)
        for up in (self.up1, self.up2):
            h = F.pixel_shuffle(up(h), 2)
        correction: Tensor = self.tail(h)
        return correction
