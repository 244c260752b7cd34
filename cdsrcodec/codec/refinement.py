"""A latent made better for its very picture, by gradient steps: what `effort` buys.

g_a was trained to suit pictures in general. Here the gained latent of one picture goes down
the gradient of rate + lambda * distortion, through the frozen decoder and the float twin of
the prior. It is then rounded and coded like any other, so readers notice nothing.

Source: stochastic Gumbel annealing (Yang et al. 2020, arXiv:2006.04240). Differs: tens of steps
instead of thousands; Adam with a large epsilon, so that elements that hardly matter stay where
they are; z is left alone, since refining it too measured worse.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from cdsrcodec.codec.loading import decoder_network, entropy_model, float_networks
from cdsrcodec.layers.integer import ONE
from cdsrcodec.layers.tiling import OnStep, Span, tile_spans
from cdsrcodec.models.cdsr1 import lmbda_at
from cdsrcodec.models.context_prior import Quantiser, crop_like, gaussian_bits
from cdsrcodec.models.interface import HYPER_STRIDE, LATENT_STRIDE
from cdsrcodec.models.registry import CodecEntry

Loss = Callable[[Tensor, Quantiser], Tensor]
"""Bits of a tile whose core is changed by so much and rounded so."""

STEPS_OF_EFFORT = (0, 10, 15, 20, 30, 45, 75, 120, 220, 400)
# Latent positions, multiples of HYPER_STRIDE. The halo is less than the receptive field: what
# is beyond it hardly turns a gradient, and nothing but the file's size rests on it.
CORE = 56
HALO = 4
LEARNING_RATE = 0.05  # in steps of the rounding
EPSILON_BITS = 10.0  # per step of the rounding: gradients below it move an element less
BETAS = (0.9, 0.99)
FIRST_TEMPERATURE, LAST_TEMPERATURE = 0.5, 0.2
_EDGE = 1e-4  # keeps fractions off 0 and 1, where their logits are infinite


class LatentRefiner:
    """Refines latents of one quality.

    Args:
        entry: weights of `cdsr1`.
        level: 0..7.
        device: where the networks run.
    """

    # Callers may run without gradients; here tensors have to take part in them.
    @torch.inference_mode(False)
    def __init__(self, entry: CodecEntry, level: float, device: torch.device) -> None:
        self.device = device
        self.level = torch.tensor([level], device=device)
        self.decoder = decoder_network(entry, device)
        self.twin = float_networks(entry, device)
        self.medians = (entropy_model(entry).prior.medians / ONE).float()
        # Squared error of all samples to lambda * 255^2 * MSE * pixels: there are 3 a pixel.
        self.bits_per_error = float(lmbda_at(self.level)) * 255**2 / 3

    @torch.inference_mode(False)
    @torch.enable_grad()
    def refine(
        self,
        pixels: NDArray[np.uint8],
        y_gained: Tensor,
        z: Tensor,
        *,
        steps: int,
        on_step: OnStep | None = None,
    ) -> Tensor:
        """A gained latent that costs less, rate and distortion together, once it is coded.

        Goes tile by tile, each in view of those before it, so that memory does not grow with
        the picture. Noise comes from a seeded generator of the CPU.

        Args:
            pixels: (H, W, 3) uint8 RGB.
            y_gained: (1, 224, h, w) float32 on the CPU.
            z: (1, 128, ceil(h/4), ceil(w/4)), likewise; stays as it is.
            steps: gradient steps for each tile, at least 1.
            on_step: called after each, where given.

        Returns:
            (1, 224, h, w) float32 on the CPU.
        """
        refined = y_gained.clone()
        z_hat = (z - self.medians).round() + self.medians
        rows_and_columns = (tile_spans(side, CORE, HALO) for side in y_gained.shape[2:])
        tiles = list(product(*rows_and_columns))
        for number, ((rows, core_rows), (columns, core_columns)) in enumerate(tiles):
            core = refined[..., slice(*core_rows), slice(*core_columns)]
            tile = refined[..., slice(*rows), slice(*columns)].to(self.device, copy=True)
            hyper_tile = _hyper_part(z_hat, rows, columns).to(self.device)
            loss = partial(
                self._loss_bits,
                _picture_part(pixels, rows, columns).to(self.device),
                tile,
                crop_like(self.twin.h_s(hyper_tile), tile),
                (*_margins(columns, core_columns), *_margins(rows, core_rows)),
            )

            def on_tile_step(done: int, first: int = number * steps) -> None:
                """Tell the steps of all tiles; `first` is bound now, and not when it is called."""
                if on_step is not None:
                    on_step(first + done, len(tiles) * steps)

            start = torch.zeros_like(core, device=self.device)
            generator = torch.Generator().manual_seed(number)
            core += descend(loss, start, steps, generator, on_tile_step).cpu()
        return refined

    def _loss_bits(
        self,
        x: Tensor,
        y_gained: Tensor,
        features: Tensor,
        margins: tuple[int, int, int, int],
        change: Tensor,
        quantise: Quantiser,
    ) -> Tensor:
        """Rate + lambda * distortion of a tile, in bits.

        Args:
            x: (1, 3, H, W) in [0, 1].
            y_gained: (1, 224, h, w) to begin with.
            features: (1, 224, h, w) of h_s.
            margins: of the core in the tile: left, right, top, bottom.
            change: (1, 224, ., .) of the core.
            quantise: see ContextPrior.
        """
        y_gained = y_gained + F.pad(change, margins)
        out = self.twin.prior(features, y_gained, quantise)
        rate_bits = gaussian_bits(out.y_hat_gained - out.means, out.scales).sum()
        y_hat = self.decoder.dequantise(out.y_hat_gained, self.level)
        x_hat = self.decoder(y_hat, self.level)
        # What lies beyond the picture's edge is cut off, what lies beyond its range clamped.
        error = x_hat[..., : x.shape[2], : x.shape[3]].clamp(0, 1) - x
        cost_bits: Tensor = rate_bits + self.bits_per_error * error.square().sum()
        return cost_bits


def descend(
    loss: Loss,
    start: Tensor,
    steps: int,
    generator: torch.Generator,
    on_step: Callable[[int], None],
) -> Tensor:
    """Adam from `start` down the loss, while the rounding hardens and the steps shrink."""
    change = start.clone().requires_grad_()
    optimiser = torch.optim.Adam([change], betas=BETAS, eps=EPSILON_BITS)
    for step in range(steps):
        progress = step / max(1, steps - 1)
        temperature = FIRST_TEMPERATURE * (LAST_TEMPERATURE / FIRST_TEMPERATURE) ** progress
        for group in optimiser.param_groups:
            group["lr"] = LEARNING_RATE * max(0.05, (1 + math.cos(math.pi * progress)) / 2)
        (change.grad,) = torch.autograd.grad(
            loss(change, partial(round_by_chance, temperature=temperature, generator=generator)),
            [change],
        )
        optimiser.step()
        on_step(step + 1)
    return change.detach()


def round_by_chance(
    residual: Tensor, _scales: Tensor, *, temperature: float, generator: torch.Generator
) -> Tensor:
    """A quantiser with a gradient: between the two integers around, by chance nearer to one.

    The nearer integer is the likelier one; the lower the temperature, the more surely so, and
    the closer the result is to an integer.

    Args:
        residual: any shape.
        temperature: above 0.
        generator: of the CPU, whatever the device, so that the noise is the same.
    """
    floor = residual.detach().floor()
    fraction = (residual - floor).clamp(_EDGE, 1 - _EDGE)
    logits = (torch.atanh(fraction) - torch.atanh(1 - fraction)) / temperature
    uniform = torch.rand(residual.shape, generator=generator).clamp_(1e-6, 1 - 1e-6)
    noise = torch.logit(uniform).to(residual.device)
    return floor + torch.sigmoid((logits + noise) / temperature)


def _picture_part(pixels: NDArray[np.uint8], rows: Span, columns: Span) -> Tensor:
    """(1, 3, ., .) float in [0, 1]: what the latent positions of the spans stand for."""
    row_slice, column_slice = (
        slice(start * LATENT_STRIDE, stop * LATENT_STRIDE) for start, stop in (rows, columns)
    )
    part = np.array(pixels[row_slice, column_slice], order="C")
    return torch.from_numpy(part).permute(2, 0, 1)[None].float() / 255


def _hyper_part(z_hat: Tensor, rows: Span, columns: Span) -> Tensor:
    """The positions of z that the latent positions of the spans belong to."""
    row_slice, column_slice = (
        slice(start // HYPER_STRIDE, -(-stop // HYPER_STRIDE)) for start, stop in (rows, columns)
    )
    return z_hat[..., row_slice, column_slice]


def _margins(outer: Span, core: Span) -> tuple[int, int]:
    return core[0] - outer[0], outer[1] - core[1]
