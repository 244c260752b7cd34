"""Convolutions over integers, exact on every machine.

The integers are held in float tensors and multiplied with torch's own matrix product. As
long as every partial sum stays below 2^24 in float32, or 2^53 in float64, each product and
each sum is an exact integer, whatever the order of the additions, the number of threads,
the vector width, or whether multiply-add is fused. `IntegerConv` proves that bound when it
is built, from its weights and the bounds of its input, and takes the narrower type that is
exact, which is twice as fast. The integers are the same in both.

Fixed point: an activation a stands for a / 2^FRACTION_BITS, or for what the `Grid` of its
tensor says.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

FRACTION_BITS = 8
ONE = 1 << FRACTION_BITS
ACTIVATION_LIMIT = 1 << 20
"""Largest bound of |activation|, and that of all channels without a `Grid` of their own. A clamp
after every layer enforces the bounds."""
EXACT_LIMIT = 1 << 53
FLOAT32_LIMIT = 1 << 24
_INT16_MAX = 32767
MAX_SHIFT = 24
"""Of a sum that becomes an activation; the least is 1, for the half that rounds."""


class Grid(NamedTuple):
    """Fixed point of a tensor: an integer a of channel c stands for a / 2^bits[c].

    Shapes: both (channels,) int64.
    """

    bits: Tensor
    limit: Tensor  # of |a|, at most ACTIVATION_LIMIT

    def repeat(self, times: int) -> Grid:
        """Each channel so many times, as a pixel shuffle takes them."""
        return Grid(*(tensor.repeat_interleave(times) for tensor in self))


def common_grid(channels: int) -> Grid:
    """FRACTION_BITS and ACTIVATION_LIMIT for all channels."""
    return Grid(torch.full((channels,), FRACTION_BITS), torch.full((channels,), ACTIVATION_LIMIT))


class IntegerConv:
    """A convolution with integer weights whose output is again fixed point.

    out = clamp((conv(x, weight) + bias + half) >> shift), one shift per output channel,
    with as much zero padding as keeps the size.

    It is a sum of k * k matrix products, one per tap, over shifted views of the padded
    input. That needs no im2col buffer, k * k times the input, and is faster than torch's
    float64 convolution, which does; and it leaves float32 no algorithm, as Winograd's, whose
    sums are others.

    Args:
        weight: (out, in, k, k) int16, k odd; stands for weight / 2^shift.
        bias: (out,) int64, in units of 2^-shift.
        shift: (out,) uint8, 1..MAX_SHIFT.
        input_limit: (in,) int64: bounds of |x|; None for ACTIVATION_LIMIT.
        output_limit: (out,) int64: what |out| is clamped to; None for ACTIVATION_LIMIT.
        in_float32: whether float32 may be used where it is exact; see exact_products.

    Raises:
        ValueError: a shift or a limit is out of range, or sums could reach 2^53, so the result
            would not be exact.
    """

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor,
        shift: Tensor,
        *,
        input_limit: Tensor | None = None,
        output_limit: Tensor | None = None,
        in_float32: bool = True,
    ) -> None:
        if not ((shift >= 1) & (shift <= MAX_SHIFT)).all():
            raise ValueError(f"shifts must be 1 to {MAX_SHIFT}, not {shift.tolist()}")
        for limit in (input_limit, output_limit):
            if limit is not None and not ((limit >= 0) & (limit <= ACTIVATION_LIMIT)).all():
                raise ValueError(f"limits must be 0 to {ACTIVATION_LIMIT}, not {limit.tolist()}")
        self.bound = int(worst_sums(weight, bias, shift, input_limit).max())
        if self.bound >= EXACT_LIMIT:
            raise ValueError(f"sums up to {self.bound} are not exact in float64")
        is_narrow = in_float32 and self.bound < FLOAT32_LIMIT
        self.dtype = torch.float32 if is_narrow else torch.float64
        self.kernel = weight.shape[-1]
        # Weights and bias times 2^-shift, and the half that rounds: scaling by a power of
        # two moves the binary point of every product and sum alike, so all stay exact.
        step = torch.exp2(-shift.double())
        taps = (weight.double() * step[:, None, None, None]).to(self.dtype)
        self.taps = taps.permute(2, 3, 0, 1).flatten(0, 1).contiguous()  # (k * k, out, in)
        self.offset = (bias.double() * step + 0.5)[:, None].to(self.dtype)
        if output_limit is None:
            output_limit = torch.full_like(bias, ACTIVATION_LIMIT)
        self.output_limit = output_limit[:, None].to(self.dtype)

    def __call__(self, x: Tensor) -> Tensor:
        """(1, in, h, w) to (1, out, h, w), floats that hold integers; the result is of `dtype`."""
        height, width = x.shape[-2:]
        pad = self.kernel // 2
        x = x.to(self.dtype)
        x = F.pad(x, (pad, pad, pad, pad)) if pad else x
        stride = width + 2 * pad
        flat = x.reshape(x.shape[1], -1)
        # Row i, column j of the output stands at i * stride + j; what lies between the rows
        # is computed too and dropped.
        span = (height - 1) * stride + width
        sums = self.offset.new_empty(len(self.offset), span).copy_(self.offset)
        for tap, weight in enumerate(self.taps):
            start = tap // self.kernel * stride + tap % self.kernel
            # In place, which autocast leaves alone.
            sums.addmm_(weight, flat[:, start : start + span])
        clamp_channels_(sums.floor_(), self.output_limit)
        rows = sums.as_strided((1, len(sums), height, width), (0, span, stride, 1))
        return rows.contiguous()


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


def worst_sums(
    weight: Tensor, bias: Tensor, shift: Tensor, input_limit: Tensor | None = None
) -> Tensor:
    """(out,) int64: the largest |sum| that any order of additions can reach.

    Shapes and ranges are those of IntegerConv.
    """
    if input_limit is None:
        input_limit = torch.full((weight.shape[1],), ACTIVATION_LIMIT)
    magnitudes = (weight.long().abs().sum((2, 3)) * input_limit).sum(1)
    halves = torch.ones_like(bias) << (shift.long() - 1)
    return magnitudes + bias.abs() + halves


def integer_leaky_relu_(x: Tensor) -> Tensor:
    """In place: x, or (x + 4) >> 3 where negative, which is slope 1/8 rounded.

    An eighth is exact, and adding a half and rounding down leaves x >= 0 as it is.
    """
    return F.leaky_relu_(x, 0.125).add_(0.5).floor_()


def clamp_channels_(x: Tensor, limit: Tensor) -> Tensor:
    """In place: x within +-limit, which broadcasts to it; several times the speed of clamp_."""
    torch.minimum(x, limit, out=x)
    return torch.maximum(x, -limit, out=x)


def clamp_activation(x: Tensor) -> Tensor:
    """X within +-ACTIVATION_LIMIT, the bound that IntegerConv's proof rests on."""
    return x.clamp(-ACTIVATION_LIMIT, ACTIVATION_LIMIT)
