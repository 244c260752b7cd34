"""Float entropy networks of `cdsr1`, for training: h_s and the four-step prior.

    z_hat --h_s--> features --step0--> (mean, log scale) of a quarter of y
    features, known y       --adapt[k], shared--> of the next quarter, k = 1..3

The checkerboard generalised to four steps: every step codes, for each of the
four channel groups, another of the four positions of a 2x2 cell, so that each
step sees all channels and all positions partly filled in.

Source: checkerboard context (He et al. 2021, arXiv:2103.15306) and its 4-step form in
channel groups, the quadtree partition of DCVC-DC (Li et al. 2023, arXiv:2302.14402).
`integer_prior` is the exact twin that coding uses.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from cdsrcodec.layers.blocks import LEAKY_SLOPE, conv3x3
from cdsrcodec.models.cdsr1 import HYPER_CHANNELS, LATENT_CHANNELS, ROUNDING_RATE_WEIGHT

STEPS = 4
POSITIONS = ((0, 0), (1, 1), (0, 1), (1, 0))  # (row, column) in a 2x2 cell
SCALE_MIN = 0.11
LOG_SCALE_RANGE = (-6.0, 8.0)


Quantiser = Callable[[Tensor, Tensor], Tensor]


class PriorOutput(NamedTuple):
    """What the prior says about a gained latent, each (B, 224, h, w)."""

    y_hat_gained: Tensor  # means + rounded residuals: what a decoder knows
    means: Tensor
    scales: Tensor


def step_parts(step: int, channels: int) -> list[tuple[slice, slice, slice]]:
    """The (channel, row, column) slices that a step codes, one for each channel group.

    Step k codes channel group c at 2x2 position POSITIONS[(k + c) mod 4]: over the
    four steps every element is coded once.
    """
    group = channels // STEPS
    parts = []
    for c in range(STEPS):
        row, column = POSITIONS[(step + c) % STEPS]
        channel_slice = slice(c * group, (c + 1) * group)
        parts.append((channel_slice, slice(row, None, 2), slice(column, None, 2)))
    return parts


def step_masks(channels: int, height: int, width: int) -> Tensor:
    """Which elements each step codes: (4, channels, height, width) bool."""
    masks = torch.zeros(STEPS, channels, height, width, dtype=torch.bool)
    for step in range(STEPS):
        for part in step_parts(step, channels):
            masks[step][part] = True
    return masks


def round_straight_through(x: Tensor) -> Tensor:
    """round(x) forward, identity backward."""
    return x + (x.round() - x).detach()


def round_rate_aware(residual: Tensor, scales: Tensor) -> Tensor:
    """What the encoder codes: the nearest integer, or the next one towards zero.

    Of the two it takes the one with the smaller error^2 + ROUNDING_RATE_WEIGHT * bits.
    Float twin of codec.rounding, but that its bits are those of Gaussians and not of counted
    tables; gradients pass straight through to the residual alone.
    """
    with torch.no_grad():
        nearest = residual.round()
        lower = nearest - nearest.sign()
        saved_bits = gaussian_bits(nearest, scales) - gaussian_bits(lower, scales)
        added_error = (residual - lower).square() - (residual - nearest).square()
        symbols = torch.where(ROUNDING_RATE_WEIGHT * saved_bits > added_error, lower, nearest)
    return symbols + (residual - residual.detach())


def to_scales(log_scales: Tensor) -> Tensor:
    """The network's log scales as bounded Gaussian scales."""
    return log_scales.clamp(*LOG_SCALE_RANGE).exp().clamp(min=SCALE_MIN)


class HyperSynthesis(nn.Sequential):
    """h_s: z_hat (B, 128, h/4, w/4) to prior features (B, 224, h, w)."""

    def __init__(self) -> None:
        super().__init__(
            conv3x3(HYPER_CHANNELS, 512),
            nn.Sequential(nn.PixelShuffle(2), nn.LeakyReLU(LEAKY_SLOPE)),
            conv3x3(128, 512),
            nn.Sequential(nn.PixelShuffle(2), nn.LeakyReLU(LEAKY_SLOPE)),
            conv3x3(128, LATENT_CHANNELS),
            nn.LeakyReLU(LEAKY_SLOPE),
        )


class ContextPrior(nn.Module):
    """Mean and scale of each latent element in four coding steps.

    Shapes:
        features: (B, 224, h, w), output of h_s cropped to the latent.
        y_gained: (B, 224, h, w), the latent times its gain.
    """

    def __init__(self) -> None:
        super().__init__()
        both = 2 * LATENT_CHANNELS
        self.step0 = nn.Sequential(
            nn.Conv2d(LATENT_CHANNELS, LATENT_CHANNELS, 1),
            nn.LeakyReLU(LEAKY_SLOPE),
            nn.Conv2d(LATENT_CHANNELS, both, 1),
        )
        self.adapt = nn.ModuleList(nn.Conv2d(both, LATENT_CHANNELS, 1) for _ in range(STEPS - 1))
        self.shared = nn.Sequential(
            nn.LeakyReLU(LEAKY_SLOPE),
            conv3x3(LATENT_CHANNELS, LATENT_CHANNELS),
            nn.LeakyReLU(LEAKY_SLOPE),
            nn.Conv2d(LATENT_CHANNELS, both, 1),
        )

    def parameters_at(self, step: int, features: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        """(means, log scales) that step `step` would use, for all elements."""
        if step == 0:
            out = self.step0(features)
        else:
            out = self.shared(self.adapt[step - 1](torch.cat([features, known], 1)))
        means, log_scales = out.chunk(2, 1)
        return means, log_scales

    def forward(
        self, features: Tensor, y_gained: Tensor, quantise: Quantiser = round_rate_aware
    ) -> PriorOutput:
        """Walk the four steps with the true latent.

        Args:
            features: as above.
            y_gained: as above.
            quantise: (residual, scales) to the integers that would be coded.
        """
        masks = step_masks(*y_gained.shape[1:]).to(y_gained.device)
        known = torch.zeros_like(y_gained)
        means = torch.zeros_like(y_gained)
        log_scales = torch.zeros_like(y_gained)
        for step, mask in enumerate(masks):
            step_means, step_log_scales = self.parameters_at(step, features, known)
            means = torch.where(mask, step_means.to(means.dtype), means)
            log_scales = torch.where(mask, step_log_scales.to(means.dtype), log_scales)
            y_hat = step_means + quantise(y_gained - step_means, to_scales(step_log_scales))
            known = torch.where(mask, y_hat.to(known.dtype), known)
        return PriorOutput(known, means, to_scales(log_scales))


def gaussian_bits(residual: Tensor, scales: Tensor) -> Tensor:
    """Bits of N(0, scales) integrated over the unit bin around residual, elementwise.

    Works in float32 whatever comes in: the tails underflow in bf16.
    """
    residual, scales = residual.float().abs(), scales.float()
    upper = torch.special.ndtr((0.5 - residual) / scales)
    lower = torch.special.ndtr((-0.5 - residual) / scales)
    return -torch.log2((upper - lower).clamp(min=1e-9))


def crop_like(features: Tensor, y: Tensor) -> Tensor:
    """Cut h_s's output, a multiple of 4 each way, to the latent's real size."""
    return features[..., : y.shape[-2], : y.shape[-1]]
