"""Recipe of `bmshj2018-hyperprior-gain`: rate + lambda * distortion at all its qualities at once.

The network is CompressAI's hyperprior with the gains of `models.gained_hyperprior` about y.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from cdsrcodec.errors import TrainingError
from cdsrcodec.layers.blocks import gain_at, inverse_gain_at
from cdsrcodec.layers.memory import one_memory_error
from cdsrcodec.models.cdsr1 import lmbda_at
from cdsrcodec.models.context_prior import (
    SCALE_MIN,
    crop_like,
    gaussian_bits,
    round_straight_through,
)
from cdsrcodec.models.gained_hyperprior import GAIN_LEVELS
from cdsrcodec.models.hyperprior import SMALL_CHANNELS
from cdsrcodec.training.compressai import ScaleHyperprior
from cdsrcodec.training.distortion import LMBDAS, MIDDLE, distortion
from cdsrcodec.training.patches import (
    ImageFolder,
    as_tensor,
    batch_rng,
    patch_batch,
    spread_levels,
)
from cdsrcodec.training.principal import start_at_principal_components
from cdsrcodec.training.recipe import AdamAlone

_START_PATCHES = 256  # enough for the components of 192 channels at 1/8
_START_PATCH_PX = 64  # at most: a folder may hold pictures just large enough for the patches
_START_SCALE = 1.0  # of the latent's Gaussians: neither surely 0 nor spread over many symbols


class TrainableGainedHyperprior(ScaleHyperprior):  # type: ignore[misc]  # compressai has no types
    """CompressAI's network with gains; keyed as its checkpoints, and `quality.*`."""

    def __init__(self) -> None:
        super().__init__(*SMALL_CHANNELS)
        self.quality = GainTables()

    def forward(self, x: Tensor, level: Tensor) -> tuple[Tensor, Tensor]:
        """Reconstruction (B, 3, H, W), and bits of each picture (B,).

        Additive noise for the rate; the decoders see integers, rounded straight through.

        Args:
            x: (B, 3, H, W) in [0, 1], sides divisible by 16.
            level: (B,) real levels 0..5.
        """
        y_gained = self.g_a(x).float() * self.quality.gain(level)
        z = self.h_a(y_gained.abs())
        with torch.autocast(x.device.type, enabled=False):  # small differences of large sums
            _, z_likelihoods = self.entropy_bottleneck(z.float(), training=True)
        medians = self.entropy_bottleneck.quantiles[:, :, 1].detach()[None, :, :, None]
        z_hat = round_straight_through(z - medians) + medians
        scales = crop_like(self.h_s(z_hat), y_gained).float().clamp(min=SCALE_MIN)
        noisy = y_gained + torch.rand_like(y_gained) - 0.5
        bits = gaussian_bits(noisy, scales).sum((1, 2, 3))
        bits = bits - z_likelihoods.log2().sum((1, 2, 3))
        y_hat = round_straight_through(y_gained) * self.quality.inverse_gain(level)
        return self.g_s(y_hat), bits


class GainTables(nn.Module):
    """Gains and what corrects their inverse, GAIN_LEVELS rows, linear between rows."""

    def __init__(self) -> None:
        super().__init__()
        # About what high-rate theory has for an orthonormal transform of pixels in [0, 1]:
        # step^2 = 6 * 3 / (ln 2 * 255^2 * lambda), 3 being the values of a pixel.
        lmbdas = torch.tensor(LMBDAS["mse"][:GAIN_LEVELS])
        start = 0.5 * (math.log(2) * 255**2 * lmbdas / (6 * 3)).log()
        self.log_gain = nn.Parameter(start[:, None].repeat(1, SMALL_CHANNELS[1]))
        self.log_gain_correction = nn.Parameter(torch.zeros(GAIN_LEVELS, SMALL_CHANNELS[1]))

    def gain(self, level: Tensor) -> Tensor:
        """(B, 192, 1, 1) factor from y to the domain that is rounded."""
        return gain_at(self.log_gain, level)

    def inverse_gain(self, level: Tensor) -> Tensor:
        """(B, 192, 1, 1) factor back to y_hat, with the learnt correction."""
        return inverse_gain_at(self.log_gain, self.log_gain_correction, level)


def load_gained(network: TrainableGainedHyperprior, start: Path) -> None:
    """Fill the network from the gained.safetensors of a run.

    Raises:
        TrainingError: it cannot be read, or is of another network.
        MemoryError: there is no room for it.
    """
    try:
        with one_memory_error():
            state = load_file(start)
        wanted = dict(network.named_parameters())
        with torch.no_grad():
            for name, parameter in wanted.items():
                parameter.copy_(state[name])
    except (OSError, SafetensorError, KeyError, RuntimeError) as error:
        raise TrainingError(
            f"{start}: no weights of this codec ({error}). hint: name the weights that a "
            "finished run of it left"
        ) from error


@dataclass(frozen=True)
class GainedRecipeConfig:
    """Settings of the recipe.

    Attributes:
        data: folder of training images.
        patch_px: side of a patch, divisible by 16.
        batch: patches per step and process.
        factors: each patch is of a picture reduced by one of these, as of the codec recipe.
        start: weights to start from, see load_gained; None for the principal components of
            training patches.
        seed: of patches and initialisation.
    """

    data: Path
    patch_px: int = 192
    batch: int = 8
    factors: tuple[int, ...] = (1, 1, 2)
    start: Path | None = None
    seed: int = 0


class GainedObjective(nn.Module):
    """Network plus loss, so that DistributedDataParallel sees one forward."""

    def __init__(self, network: TrainableGainedHyperprior) -> None:
        super().__init__()
        self.network = network

    def forward(self, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean over the batch of (lambda * distortion + bpp) * (lambda / lambda of level 3)^-1/2.

        Weighted as the codec recipe's, so that all rates count alike.
        """
        x, level = batch
        x_hat, bits = self.network(x, level)
        bpp = bits / (x.shape[-1] * x.shape[-2])
        distance, figures = distortion(x_hat, x, "mse")
        lmbda = lmbda_at(level)
        weight = (lmbda / LMBDAS["mse"][MIDDLE]) ** -0.5
        loss = (weight * (lmbda * distance + bpp)).mean()
        return loss, {"bpp": bpp.detach().mean(), **figures}


class GainedRecipe(AdamAlone):
    """Recipe (see `recipe.Recipe`) of the codec."""

    def __init__(self, config: GainedRecipeConfig, device: torch.device) -> None:
        self.config, self.device = config, device
        self.images = ImageFolder(config.data, min_side_px=config.patch_px * min(config.factors))
        torch.manual_seed(config.seed)
        network = TrainableGainedHyperprior()
        if config.start is None:
            self._start(network)
        else:
            load_gained(network, config.start)
        # Noise needs no medians and no tails; the export finds both by bisection.
        network.entropy_bottleneck.quantiles.requires_grad_(False)
        self.module = GainedObjective(network)
        self.module.to(memory_format=torch.channels_last)

    def _start(self, network: TrainableGainedHyperprior) -> None:
        rng = np.random.default_rng([self.config.seed])
        side_px = min(_START_PATCH_PX, self.images.min_side_px)
        patches = patch_batch(self.images, rng, count=_START_PATCHES, side_px=side_px, factors=(1,))
        x = as_tensor(patches, torch.device("cpu"))
        start_at_principal_components(
            [m for m in network.g_a if isinstance(m, nn.Conv2d)],
            [m for m in network.g_s if isinstance(m, nn.ConvTranspose2d)][::-1],
            x,
        )
        nn.init.constant_(network.h_s[-2].bias, _START_SCALE)
        with torch.no_grad():  # z that rounds to 0 everywhere would teach h_s nothing
            level = torch.linspace(0, GAIN_LEVELS - 1, len(x))
            z = network.h_a((network.g_a(x) * network.quality.gain(level)).abs())
            network.h_a[-1].weight /= z.std()

    @property
    def aim(self) -> dict[str, str]:
        """There is one."""
        return {}

    def batch(self, step: int, rank: int) -> tuple[Tensor, Tensor]:
        """(x (B, 3, P, P) float in [0, 1], levels (B,))."""
        c = self.config
        rng = batch_rng(c.seed, step, rank)
        patches = patch_batch(
            self.images, rng, count=c.batch, side_px=c.patch_px, factors=c.factors
        )
        level = spread_levels(rng, c.batch, GAIN_LEVELS, self.device)
        return as_tensor(patches, self.device), level
