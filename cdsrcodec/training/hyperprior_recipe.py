"""Recipe of `bmshj2018-hyperprior`: rate + lambda * distortion, a network for each quality.

The network is CompressAI's own, so what is trained here is a checkpoint of its layout, and
goes the way of all others: `cdsrcodec models import`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from cdsrcodec.errors import ModelError, TrainingError
from cdsrcodec.layers.state_files import read_state
from cdsrcodec.models.context_prior import crop_like
from cdsrcodec.models.hyperprior import channels_at
from cdsrcodec.training.compressai import ScaleHyperprior, load_pretrained
from cdsrcodec.training.distortion import LMBDAS, distortion
from cdsrcodec.training.patches import ImageFolder, as_tensor, batch_rng, patch_batch
from cdsrcodec.training.recipe import AdamAlone


def load_hyperprior(network: ScaleHyperprior, start: Path) -> None:
    """Fill the network from a checkpoint of CompressAI's layout, with or without tables.

    Args:
        network: filled in place.
        start: .pth, .pth.tar or .safetensors: of CompressAI, of `train export`, or the
            hyperprior.safetensors of a run.

    Raises:
        TrainingError: it cannot be read, or is of another network.
    """
    try:
        stored = ScaleHyperprior.from_state_dict(load_pretrained(read_state(start)))
    except (ModelError, KeyError, RuntimeError) as error:
        raise TrainingError(
            f"{start}: no weights of this codec. hint: name a checkpoint of CompressAI's layout; "
            "an installed model does not have all that training needs"
        ) from error
    if (stored.N, stored.M) != (network.N, network.M):
        raise TrainingError(
            f"{start}: has {stored.N} and {stored.M} channels, this quality {network.N} and "
            f"{network.M}. hint: --quality 1 to 5 have other sizes than 6 to 8"
        )
    with torch.no_grad():
        for parameter, value in zip(network.parameters(), stored.parameters(), strict=True):
            parameter.copy_(value)


@dataclass(frozen=True)
class HyperpriorRecipeConfig:
    """Settings of the recipe.

    Attributes:
        data: folder of training images.
        quality: 1..8.
        metric: "mse" or "ms-ssim".
        patch_px: side of a patch, divisible by 16; see distortion for "ms-ssim".
        batch: patches per step and process.
        factors: each patch is of a picture reduced by one of these, as of the codec recipe.
        start: weights to start from, see load_hyperprior; None for the initialisation.
        seed: of patches and initialisation.
    """

    data: Path
    quality: int
    metric: str = "mse"
    patch_px: int = 192
    batch: int = 8
    factors: tuple[int, ...] = (1, 1, 2)
    start: Path | None = None
    seed: int = 0


class HyperpriorObjective(nn.Module):
    """Network plus loss, so that DistributedDataParallel sees one forward.

    Args:
        network: CompressAI's.
        metric: see distortion.
        lmbda: weight of the distortion.
    """

    def __init__(self, network: ScaleHyperprior, metric: str, lmbda: float) -> None:
        super().__init__()
        self.network = network
        self.metric, self.lmbda = metric, lmbda

    def forward(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean over the batch x (B, 3, P, P) of lambda * distortion + bpp.

        With additive noise in the place of rounding, for the rate and the decoder. Differs
        from CompressAI's forward: the scales are cropped to y, as they are in coding.
        """
        network = self.network
        y = network.g_a(x)
        z = network.h_a(y.abs())
        with torch.autocast(x.device.type, enabled=False):  # small differences of large sums
            z_hat, z_likelihoods = network.entropy_bottleneck(z.float(), training=True)
        scales = crop_like(network.h_s(z_hat), y)
        y_hat, y_likelihoods = network.gaussian_conditional(
            y.float(), scales.float(), training=True
        )
        distance, figures = distortion(network.g_s(y_hat), x, self.metric)
        bits = -y_likelihoods.log2().sum() - z_likelihoods.log2().sum()
        bpp = bits / (x.shape[0] * x.shape[2] * x.shape[3])
        loss = self.lmbda * distance.mean() + bpp
        return loss, {"bpp": bpp.detach(), **figures}


class HyperpriorRecipe(AdamAlone):
    """Recipe (see `recipe.Recipe`) of the codec at one quality."""

    def __init__(self, config: HyperpriorRecipeConfig, device: torch.device) -> None:
        self.config, self.device = config, device
        torch.manual_seed(config.seed)
        network = ScaleHyperprior(*channels_at(config.quality))
        if config.start is not None:
            load_hyperprior(network, config.start)
        # Noise needs no medians and no tails; the export finds both by bisection.
        network.entropy_bottleneck.quantiles.requires_grad_(False)
        lmbda = LMBDAS[config.metric][config.quality - 1]
        self.module = HyperpriorObjective(network, config.metric, lmbda)
        self.module.to(memory_format=torch.channels_last)
        smallest = config.patch_px * min(config.factors)
        self.images = ImageFolder(config.data, min_side_px=smallest)

    @property
    def aim(self) -> dict[str, str]:
        """The quality, which alone tells its lambda, and the metric."""
        return {"quality": str(self.config.quality), "metric": self.config.metric}

    def batch(self, step: int, rank: int) -> Tensor:
        """(B, 3, P, P) float in [0, 1]."""
        c = self.config
        rng = batch_rng(c.seed, step, rank)
        patches = patch_batch(
            self.images, rng, count=c.batch, side_px=c.patch_px, factors=c.factors
        )
        return as_tensor(patches, self.device)
