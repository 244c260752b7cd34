"""Convolutions over integers, exact on every machine.

The integers are held in float64 tensors and multiplied with torch's own float64
matrix product. As long as every partial sum stays below 2^53 each product and each sum
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
_INT16_MAX = 32767
MAX_SHIFT = 24
"""Of a sum that becomes an activation; the least is 1, for the half that rounds."""


class IntegerConv:
    """A convolution with integer weights whose output is again fixed point.

    out = clamp((conv(x, weight) + bias + half) >> shift), one shift per output channel,
    with as much zero padding as keeps the size.

    It is a sum of k * k matrix products, one per tap, over shifted views of the padded
    input. That needs no im2col buffer, k * k times the input, and is faster than torch's
    float64 convolution, which does.

    Args:
        weight: (out, in, k, k) int16, k odd; stands for weight / 2^shift.
        bias: (out,) int64, in units of 2^-(FRACTION_BITS + shift).
        shift: (out,) uint8, 1..MAX_SHIFT.

    Raises:
        ValueError: a shift is out of range, or sums could reach 2^53, so the result would not be
            exact.
    """

    def __init__(self, weight: Tensor, bias: Tensor, shift: Tensor) -> None:
        if not ((shift >= 1) & (shift <= MAX_SHIFT)).all():
            raise ValueError(f"shifts must be 1 to {MAX_SHIFT}, not {shift.tolist()}")
        self.bound = worst_sum(weight, bias, shift)
        if self.bound >= EXACT_LIMIT:
            raise ValueError(f"sums up to {self.bound} are not exact in float64")
        self.kernel = weight.shape[-1]
        # Weights and bias times 2^-shift, and the half that rounds: scaling by a power of
        # two moves the binary point of every product and sum alike, so all stay exact.
        step = torch.exp2(-shift.double())
        taps = weight.double() * step[:, None, None, None]
        self.taps = taps.permute(2, 3, 0, 1).flatten(0, 1).contiguous()  # (k * k, out, in)
        self.offset = (bias.double() * step + 0.5)[:, None]

    def __call__(self, x: Tensor) -> Tensor:
        """(1, in, h, w) to (1, out, h, w), both float64 holding integers."""
        height, width = x.shape[-2:]
        pad = self.kernel // 2
        x = F.pad(x, (pad, pad, pad, pad)) if pad else x
        stride = width + 2 * pad
        flat = x.reshape(x.shape[1], -1)
        # Row i, column j of the output stands at i * stride + j; what lies between the rows
        # is computed too and dropped.
        span = (height - 1) * stride + width
        sums = self.offset.repeat(1, span)
        for tap, weight in enumerate(self.taps):
            start = tap // self.kernel * stride + tap % self.kernel
            sums.addmm_(weight, flat[:, start : start + span])
        rows = sums.floor_().as_strided((1, len(sums), height, width), (0, span, stride, 1))
        return rows.clamp(-ACTIVATION_LIMIT, ACTIVATION_LIMIT)


def quantise_weights(weight: Tensor, bias: Tensor) -> dict[str, Tensor]:
    """Arguments of IntegerConv for float ones: int16 weights, a power of two for each channel.

    Nothing here is rounded but the results, so every machine makes the same integers.

    Args:
        weight: (out, in, k, k) float64.
        bias: (out,) float64.

    Raises:
        ValueError: a weight or bias is too large, or not a number.
    """
    largest = weight.abs().amax((1, 2, 3)).clamp(min=2.0**-30)
    exponent = torch.frexp(_INT16_MAX / largest).exponent  # 1 more than the log2, rounded down
    shift = (exponent - 1).clamp(1, MAX_SHIFT)
    scale = torch.exp2(shift.double())
    scaled_bias = bias * scale * ONE
    # Said in this way round, NaN fails too.
    if not (largest * scale <= _INT16_MAX).all():
        raise ValueError("a weight is too large for int16 at the smallest shift")
    if not (scaled_bias.abs() < EXACT_LIMIT).all():
        raise ValueError("a bias is too large for exact sums")
    return {
        "weight": (weight * scale[:, None, None, None]).round().to(torch.int16),
        "bias": scaled_bias.round().to(torch.int64),
        "shift": shift.to(torch.uint8),
    }


def worst_sum(weight: Tensor, bias: Tensor, shift: Tensor) -> int:
    """Largest |sum| that any order of additions can reach, over the output channels.

    Shapes and ranges are those of IntegerConv.
    """
    magnitudes = weight.long().abs().sum((1, 2, 3)) * ACTIVATION_LIMIT
    halves = torch.ones_like(bias) << (shift.long() - 1)
    return int((magnitudes + bias.abs() + halves).max())


def integer_leaky_relu_(x: Tensor) -> Tensor:
    """In place: x, or (x + 4) >> 3 where negative, which is slope 1/8 rounded.

    An eighth is exact, and adding a half and rounding down leaves x >= 0 as it is.
    """
    return F.leaky_relu_(x, 0.125).add_(0.5).floor_()


def clamp_activation(x: Tensor) -> Tensor:
    """X within +-ACTIVATION_LIMIT, the bound that IntegerConv's proof rests on."""
    return x.clamp(-ACTIVATION_LIMIT, ACTIVATION_LIMIT)
