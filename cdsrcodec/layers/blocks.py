"""Residual block, interpolation between qualities, and what else several networks share."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# 1/8 is a shift in the integer entropy nets; the float transforms use the same
# slope so that one activation is to be learnt about, not two.
LEAKY_SLOPE = 0.125


def conv3x3(in_channels: int, out_channels: int, *, stride: int = 1) -> nn.Conv2d:
    """A 3x3 convolution with padding 1: (B, in, H, W) -> (B, out, ceil(H/stride), ...)."""
    return nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1)


def leaky_relu_(x: Tensor) -> Tensor:
    """Leaky ReLU with slope 1/8, in place; convolutions do not need their output again."""
    return F.leaky_relu_(x, LEAKY_SLOPE)


class ResidualBlock(nn.Module):
    """x + conv2(leaky_relu(conv1(x))), both 3x3, no normalisation.

    Shapes: (B, channels, H, W) -> the same.

    Source: EDSR's block (Lim et al. 2017, arXiv:1707.02921). Differs: leaky
    slope 1/8, and the second convolution starts at a tenth of its usual size
    instead of a fixed residual factor.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = conv3x3(channels, channels)
        self.conv2 = conv3x3(channels, channels)
        with torch.no_grad():
            for parameter in self.conv2.parameters():
                parameter.mul_(0.1)

    def forward(self, x: Tensor) -> Tensor:
        """Add the block's correction to x."""
        correction: Tensor = self.conv2(leaky_relu_(self.conv1(x)))
        return x + correction


def residual_blocks(channels: int, count: int) -> nn.Sequential:
    """A chain of `count` ResidualBlocks of `channels` channels."""
    return nn.Sequential(*(ResidualBlock(channels) for _ in range(count)))


def at_level(table: Tensor, level: Tensor) -> Tensor:
    """Rows of a per-quality table, linear between rows.

    Args:
        table: (L, C), one row per integer level 0..L-1.
        level: (B,) real levels; clamped to [0, L-1].

    Returns:
        (B, C, 1, 1), ready to scale a (B, C, H, W) feature map.

    Source: gain units with interpolation (Cui et al. 2021, arXiv:2003.02012);
    they interpolate geometrically, here the tables of log-gains are linear.
    """
    last = table.shape[0] - 1
    level = level.clamp(0, last)
    low = level.floor().clamp(max=last - 1).long()
    weight = (level - low)[:, None].to(table.dtype)
    return torch.lerp(table[low], table[low + 1], weight)[:, :, None, None]


def gain_at(log_gain: Tensor, level: Tensor) -> Tensor:
    """(B, C, 1, 1) factors from a latent to the domain that is rounded; arguments as at_level."""
    return at_level(log_gain, level).exp()


def inverse_gain_at(log_gain: Tensor, log_correction: Tensor, level: Tensor) -> Tensor:
    """(B, C, 1, 1) factors back from there, with a learnt correction: (L, C) as log_gain."""
    return gain_at(log_correction - log_gain, level)


def freeze(parameters: Iterable[nn.Parameter]) -> None:
    """Switch gradients off, in place."""
    for parameter in parameters:
        parameter.requires_grad_(False)
