"""RRDBNet, the 4x network of ESRGAN and Real-ESRGAN."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cdsrcodec.layers.blocks import conv3x3

# As published, not the layers' 1/8: published weights run in it.
SLOPE = 0.2
RESIDUAL = 0.2


class DenseBlock(nn.Module):
    """Five 3x3 convolutions, each fed by all before it: (B, C, H, W) -> the same."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        grown = [channels + i * growth for i in range(5)]
        self.convs = nn.ModuleList(
            conv3x3(wide, growth if i < 4 else channels) for i, wide in enumerate(grown)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Add a fifth of the block's correction to x."""
        features = x
        for conv in list(self.convs)[:-1]:
            grown = F.leaky_relu(conv(features), SLOPE)
            features = torch.cat([features, grown], 1)
        correction: Tensor = self.convs[-1](features)
        return x + RESIDUAL * correction


class ResidualInResidual(nn.Module):
    """RRDB: three dense blocks in a residual of their own, (B, C, H, W) -> the same."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(DenseBlock(channels, growth) for _ in range(3)))

    def forward(self, x: Tensor) -> Tensor:
        """Add a fifth of what the blocks make of x to x."""
        correction: Tensor = self.blocks(x)
        return x + RESIDUAL * correction


class RrdbNet(nn.Module):
    """ESRGAN's generator: (B, 3, H, W) -> (B, 3, 4H, 4W), RGB nominally [0, 1].

    Args:
        channels: nf of the paper's code.
        blocks: nb, number of RRDBs.
        growth: gc, channels that each convolution of a dense block adds.

    Source: Wang et al. 2018, arXiv:1809.00219; `esrgan` finds weights for it.
    """

    def __init__(self, channels: int = 64, blocks: int = 23, growth: int = 32) -> None:
        super().__init__()
        self.head = conv3x3(3, channels)
        self.body = nn.Sequential(
            *(ResidualInResidual(channels, growth) for _ in range(blocks)),
            conv3x3(channels, channels),
        )
        self.up1 = conv3x3(channels, channels)
        self.up2 = conv3x3(channels, channels)
        self.high = conv3x3(channels, channels)
        self.tail = conv3x3(channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Enlarge x."""
        h = self.head(x)
        h = h + self.body(h)
        for up in (self.up1, self.up2):
            h = F.leaky_relu(up(F.interpolate(h, scale_factor=2)), SLOPE)
        x_sr: Tensor = self.tail(F.leaky_relu(self.high(h), SLOPE))
        return x_sr
