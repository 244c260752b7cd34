"""What the 4x networks of pixels have in common: they correct the bicubic enlargement."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional as F

from cdsrcodec.sr.registry import UPSCALE


class PixelEnlarger(nn.Module, ABC):
    """A 4x network of pixels: the bicubic enlargement of x plus what the network adds.

    The published networks make the whole picture. On a base, their last convolution can
    start at zero, and every step of a training begins where interpolation ends.

    Shapes:
        x: (B, 3, H, W) RGB in [0, 1].
        returns: x_sr (B, 3, 4H, 4W) RGB, nominally [0, 1]; the caller clamps.
    """

    reach_px: ClassVar[int]
    """How far a pixel of x is seen, to each side: what the halo of a tile must be."""

    def forward(self, x: Tensor) -> Tensor:
        """Enlarge x."""
        base = F.interpolate(x, scale_factor=UPSCALE, mode="bicubic", align_corners=False)
        return base + self.correction(2 * x - 1)

    @abstractmethod
    def correction(self, x: Tensor) -> Tensor:
        """(B, 3, 4H, 4W) correction of the base, of x (B, 3, H, W) in [-1, 1]."""


def zero_(conv: nn.Conv2d) -> nn.Conv2d:
    """The convolution itself, answering zero until it is trained."""
    for parameter in conv.parameters():
        nn.init.zeros_(parameter)
    return conv
