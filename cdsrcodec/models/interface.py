"""What every codec of the registry offers to `codec`, and the strides that all of them share.

    encode: x --features, to_latent--> y_gained --to_hyper--> z, both rounded along a walk
    decode: symbols --walk--> y_hat_gained --dequantise--> y_hat --> x_hat

"Gained" is the domain that is rounded: the latent times a gain where one network serves all
qualities, the latent itself where each has its own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple, Protocol

from torch import Tensor, nn

LATENT_STRIDE = 16  # image pixels per latent position, each way
HYPER_STRIDE = 4  # latent positions per hyper-latent position, each way


class EncoderNetwork(nn.Module, ABC):
    """The float half of encoding: M latent and N hyper-latent channels."""

    @abstractmethod
    def features(self, x: Tensor) -> Tensor:
        """What (1, 3, H, W) RGB in [0, 1] gives before the quality enters; 16 divides H and W."""

    @abstractmethod
    def to_latent(self, features: Tensor, level: Tensor) -> Tensor:
        """Gained latent (1, M, H/16, W/16) at a level (1,) of 0..7."""

    @abstractmethod
    def to_hyper(self, y_gained: Tensor) -> Tensor:
        """Z (1, N, ceil(h/4), ceil(w/4)) of a gained latent (1, M, h, w)."""


class DecoderNetwork(nn.Module, ABC):
    """The float half of native decoding."""

    @abstractmethod
    def dequantise(self, y_hat_gained: Tensor, level: Tensor) -> Tensor:
        """The latent y_hat, of the same shape, at a level (1,) of 0..7."""

    @abstractmethod
    def forward(self, y_hat: Tensor, level: Tensor) -> Tensor:
        """x_hat (1, 3, 16 h, 16 w), nominally [0, 1], of y_hat (1, M, h, w)."""


class Prediction(NamedTuple):
    """What a step predicts for the elements it codes, flat in coding order."""

    means: Tensor  # (n,) float32, fixed point: integers of at most 2^20, so exact
    indexes: Tensor  # (n,) uint8, rows of the Gaussian tables


class Walk(Protocol):
    """Goes through a latent step by step; encoder and decoder take the same walk.

    For each step of its prior: `predict`, then `fill` with the symbols that were coded for
    exactly these elements, in the same order (channel, row, column).
    """

    def predict(self, step: int) -> Prediction:
        """Means and tables of the elements of this step."""

    def fill(self, step: int, prediction: Prediction, symbols: Tensor) -> None:
        """Enter (n,) symbols, which with the means give this step's elements."""

    def gather(self, step: int, y: Tensor) -> Tensor:
        """(n,) elements of y (1, M, h, w) that this step codes, in coding order."""

    def y_hat_gained(self) -> Tensor:
        """(1, M, h, w) float32: the finished latent."""


class Prior(Protocol):
    """The exact entropy networks, always on the CPU.

    Attributes:
        steps: of its walks.
        hyper_channels: N, 256 at most.
        medians: (1, N, 1, 1) float64, fixed point: what z is rounded about.
        rounding_rate_weight: squared rounding error, of unit steps, that the encoder accepts
            to save one bit.
    """

    steps: int
    hyper_channels: int
    medians: Tensor
    rounding_rate_weight: float

    def walk(self, z_symbols: Tensor, height: int, width: int) -> Walk:
        """Through a latent of (height, width), from (1, N, ., .) int32 symbols of z."""


def hyper_size(height: int, width: int) -> tuple[int, int]:
    """Positions of z for a latent of (height, width)."""
    return -(-height // HYPER_STRIDE), -(-width // HYPER_STRIDE)
