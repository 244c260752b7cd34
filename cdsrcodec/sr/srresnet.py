"""SRResNet, the 4x network that is the generator of SRGAN."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from cdsrcodec.layers.blocks import conv3x3
from cdsrcodec.sr.pixel_enlarger import PixelEnlarger, zero_


class SrResNetBlock(nn.Module):
    """x + norm(conv2(prelu(norm(conv1(x))))), both 3x3: (B, C, H, W) -> the same."""

    def __init__(self, channels: int, *, normalised: bool) -> None:
        super().__init__()
        self.conv1 = conv3x3(channels, channels)
        self.norm1 = norm(channels, normalised=normalised)
        self.activation = nn.PReLU(channels)
        self.conv2 = conv3x3(channels, channels)
        self.norm2 = norm(channels, normalised=normalised)

    def forward(self, x: Tensor) -> Tensor:
        """Add the block's correction to x."""
        h = self.activation(self.norm1(self.conv1(x)))
        correction: Tensor = self.norm2(self.conv2(h))
        return x + correction


class SrResNet(PixelEnlarger):
    """SRResNet: 1.5 M parameters, 2.2 MMAC per pixel of x.

    Args:
        channels: of all features.
        blocks: residual blocks.
        normalised: with batch normalisation, as it is trained. What is shipped has
            none: it is a part of the convolution before it.

    Source: Ledig et al. 2017, arXiv:1609.04802. Differs: adds to the bicubic enlargement.
    """

    reach_px = 40  # 9x9 head, 34 of 3x3 at the size of x, one at 2x, 9x9 tail at 4x

    def __init__(self, channels: int = 64, blocks: int = 16, *, normalised: bool = False) -> None:
        super().__init__()
        self.head = nn.Conv2d(3, channels, 9, padding=4)
        self.head_activation = nn.PReLU(channels)
        self.body = nn.Sequential(
            *(SrResNetBlock(channels, normalised=normalised) for _ in range(blocks))
        )
        self.body_end = conv3x3(channels, channels)
        self.body_norm = norm(channels, normalised=normalised)
        self.up1 = conv3x3(channels, 4 * channels)
        self.up1_activation = nn.PReLU(channels)
        self.up2 = conv3x3(channels, 4 * channels)
        self.up2_activation = nn.PReLU(channels)
        self.tail = zero_(nn.Conv2d(channels, 3, 9, padding=4))

    def correction(self, x: Tensor) -> Tensor:
        """See PixelEnlarger."""
        h = self.head_activation(self.head(x))
        h = h + self.body_norm(self.body_end(self.body(h)))
        h = self.up1_activation(F.pixel_shuffle(self.up1(h), 2))
        h = self.up2_activation(F.pixel_shuffle(self.up2(h), 2))
        correction: Tensor = self.tail(h)
        return correction


def norm(channels: int, *, normalised: bool) -> nn.Module:
    """Batch normalisation, or nothing."""
    return nn.BatchNorm2d(channels) if normalised else nn.Identity()
