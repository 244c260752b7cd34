"""Convolutions over integers, exact on every machine.

The integers are held in float64 tensors and convolved with torch's own float64
kernels. As long as every partial sum stays below 2^53 each product and each sum
is an exact integer, whatever the order of the additions, the number of threads,
the vector width, or whether multiply-add is fused. `IntegerConv` proves that
bound when it is built, from its weights and the bound of its input.

Fixed point: an activation a stands for a / 2^FRACTION_BITS.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

FRACTION_BITS = 8
ONE = 1 << FRACTION_BITS
ACTIVATION_LIMIT = 1 << 20
"""Bound of |activation|, enforced by a clamp after every layer."""
EXACT_LIMIT = 1 << 53
_BAND_POSITIONS = 1 << 14  # bounds the im2col buffer of a 3x3 convolution to about 0.5 GB


class IntegerConv:
    """A convolution with integer weights whose output is again fixed point.

    out = clamp((conv(x, weight) + bias + half) >> shift), one shift per output channel.

    Args:
        weight: (out, in, k, k) int16, k odd; stands for weight / 2^shift.
        bias: (out,) int64, in units of 2^-(FRACTION_BITS + shift).
        shift: (out,) uint8, 1..30.

    Raises:
        ValueError: sums could reach 2^53, so the result would not be exact.
    """

    def __init__(self, weight: Tensor, bias: Tensor, shift: Tensor) -> None:
        self.bound = worst_sum(weight, bias, shift)
        if self.bound >= EXACT_LIMIT:
            raise ValueError(f"sums up to {self.bound} are not exact in float64")
        self.padding = weight.shape[-1] // 2
        self.weight = weight.double()
        step = torch.exp2(-shift.double())
        # Adding the half here saves an addition per element later.
        self.offset = bias.double() + 0.5 / step
        self.step = step[:, None, None]

    def __call__(self, x: Tensor) -> Tensor:
        """(1, in, h, w) to (1, out, h, w), both float64 holding integers."""
        pad = self.padding
        if pad == 0:
            return self._requantise(F.conv2d(x, self.weight, self.offset))
        x = F.pad(x, (pad, pad, pad, pad))
        height, width = x.shape[-2] - 2 * pad, x.shape[-1] - 2 * pad
        rows = max(1, _BAND_POSITIONS // width)
        bands = [
            self._requantise(
                F.conv2d(
                    x[..., top : min(top + rows, height) + 2 * pad, :], self.weight, self.offset
                )
            )
            for top in range(0, height, rows)
        ]
        return bands[0] if len(bands) == 1 else torch.cat(bands, 2)

    def _requantise(self, sums: Tensor) -> Tensor:
        # A product by a power of two is exact; so is floor.
        return sums.mul_(self.step).floor_().clamp_(-ACTIVATION_LIMIT, ACTIVATION_LIMIT)


def worst_sum(weight: Tensor, bias: Tensor, shift: Tensor) -> int:
    """Largest |sum| that any order of additions can reach, over the output channels."""
    magnitudes = weight.long().abs().sum((1, 2, 3)) * ACTIVATION_LIMIT
    halves = torch.ones_like(bias) << (shift.long() - 1)
    return int((magnitudes + bias.abs() + halves).max())


def integer_leaky_relu(x: Tensor) -> Tensor:
    """x, or (x + 4) >> 3 where negative: slope 1/8, rounded."""
    return torch.where(x < 0, ((x + 4) * 0.125).floor(), x)


def clamp_activation(x: Tensor) -> Tensor:
    """X within +-ACTIVATION_LIMIT, the bound that IntegerConv's proof rests on."""
    return x.clamp(-ACTIVATION_LIMIT, ACTIVATION_LIMIT)
