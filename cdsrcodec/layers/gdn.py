"""Generalised divisive normalisation."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Gdn(nn.Module):
    """x / sqrt(beta + gamma x^2) over the channels at each position, or times that root.

    Shapes: (B, channels, H, W) -> the same. `beta` (channels,) is above 0, `gamma`
    (channels, channels, 1, 1) at least 0.

    Args:
        channels: of x.
        inverse: multiply, as synthesis does, instead of divide.

    Source: Balle et al. 2016, arXiv:1511.06281. Differs: the parameters are those that act, not
    the square roots that training keeps them non-negative with.
    """

    def __init__(self, channels: int, *, inverse: bool = False) -> None:
        super().__init__()
        self.inverse = inverse
        self.beta = nn.Parameter(torch.ones(channels))
        self.gamma = nn.Parameter(0.1 * torch.eye(channels)[:, :, None, None])

    def forward(self, x: Tensor) -> Tensor:
        """Normalise x."""
        norm = F.conv2d(x.square(), self.gamma, self.beta)
        return x * (norm.sqrt() if self.inverse else norm.rsqrt())
