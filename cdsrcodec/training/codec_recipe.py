"""Recipe of the `cdsr1` codec: rate + lambda * distortion at all qualities at once."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from cdsrcodec.errors import TrainingError
from cdsrcodec.layers.blocks import at_level
from cdsrcodec.layers.memory import one_memory_error
from cdsrcodec.models.cdsr1 import (
    HYPER_CHANNELS,
    LEVELS,
    AnalysisTransform,
    HyperAnalysis,
    QualityTables,
    SynthesisTransform,
    lmbda_at,
)
from cdsrcodec.models.context_prior import (
    ContextPrior,
    HyperSynthesis,
    crop_like,
    gaussian_bits,
    round_straight_through,
)
from cdsrcodec.training.compressai import EntropyBottleneck
from cdsrcodec.training.distortion import LMBDAS, MIDDLE, distortion
from cdsrcodec.training.integers import exported_state
from cdsrcodec.training.patches import (
    ImageFolder,
    as_tensor,
    batch_rng,
    patch_batch,
    spread_levels,
)
from cdsrcodec.training.recipe import AdamAlone

DECODER = ("g_s.", "quality.g_s_", "quality.log_gain_correction")
ENCODER = ("g_a.", "h_a.", "quality.g_a_")
TRAINED = {"all": ("",), "transforms": ENCODER + DECODER, "decoder": DECODER}
"""For each part that can be trained, the prefixes of its parameters."""
FORMER_SHARE = 0.25


class TrainableCdsr1(nn.Module):
    """The whole float network of `cdsr1`, keyed as the warm start's tensors.

    The factorised prior of z is CompressAI's EntropyBottleneck (Balle et al.
    2018, arXiv:1802.01436, appendix 6.1).
    """

    def __init__(self) -> None:
        super().__init__()
        self.g_a = AnalysisTransform()
        self.g_s = SynthesisTransform()
        self.h_a = HyperAnalysis()
        self.h_s = HyperSynthesis()
        self.prior = ContextPrior()
        self.quality = QualityTables()
        self.entropy_bottleneck = EntropyBottleneck(HYPER_CHANNELS)

    def analyse(self, x: Tensor, level: Tensor) -> tuple[Tensor, Tensor]:
        """(gained latent, z) of x (B, 3, H, W) at levels (B,)."""
        y = self.g_a(x, at_level(self.quality.g_a_scale8, level))
        y_gained = y * self.quality.gain(level)
        return y_gained, self.h_a(y_gained)

    def code(self, x: Tensor, level: Tensor) -> Tensor:
        """The gained latent (B, 224, H/16, W/16) that files of x at levels (B,) hold."""
        y_gained, z = self.analyse(x, level)
        features = crop_like(self.h_s(self.quantise_z(z)), y_gained)
        y_hat_gained: Tensor = self.prior(features, y_gained).y_hat_gained
        return y_hat_gained

    def synthesise(self, y_hat_gained: Tensor, level: Tensor) -> Tensor:
        """x_hat of a rounded gained latent."""
        y_hat = y_hat_gained * self.quality.inverse_gain(level)
        scale16 = at_level(self.quality.g_s_scale16, level)
        x_hat: Tensor = self.g_s(y_hat, scale16, at_level(self.quality.g_s_scale8, level))
        return x_hat

    def quantise_z(self, z: Tensor) -> Tensor:
        """Rounded about the medians of the factorised prior, straight through."""
        medians = self.entropy_bottleneck.quantiles[:, :, 1].detach()[None, :, :, None]
        z_hat: Tensor = round_straight_through(z - medians) + medians
        return z_hat

    def forward(self, x: Tensor, level: Tensor, *, noise: bool) -> tuple[Tensor, Tensor, Tensor]:
        """Reconstruction and estimated bits per picture.

        Args:
            x: (B, 3, H, W) in [0, 1], sides divisible by 16.
            level: (B,) real levels 0..7.
            noise: True to train: the rate is that of additive uniform noise, and rounding
                passes gradients straight through; False: the integers that are coded.

        Returns:
            x_hat (B, 3, H, W), bits of y (B,), bits of z (B,).
        """
        y_gained, z = self.analyse(x, level)
        z_hat = self.quantise_z(z)
        with torch.autocast(x.device.type, enabled=False):  # small differences of large sums
            _, z_likelihoods = self.entropy_bottleneck(z.float(), training=noise)
        features = crop_like(self.h_s(z_hat), y_gained)
        out = self.prior(features, y_gained)
        rated = y_gained if noise else out.y_hat_gained
        residual = rated - out.means
        if noise:
            residual = residual + torch.rand_like(residual) - 0.5
        y_bits = gaussian_bits(residual, out.scales).sum((1, 2, 3))
        z_bits: Tensor = -z_likelihoods.log2().sum((1, 2, 3))
        return self.synthesise(out.y_hat_gained, level), y_bits, z_bits


def load_network(network: TrainableCdsr1, start: Path) -> None:
    """Fill the network from a file of float weights or a folder of exported ones.

    Args:
        network: filled in place.
        start: a safetensors file with the network's keys (a run's codec.safetensors), or
            the folder of a codec's shipped files.

    Raises:
        TrainingError: nothing there, or weights of another network.
        MemoryError: there is no room for them.
    """
    try:
        with one_memory_error():
            if start.is_dir():
                state = exported_state(start)
            else:
                state = {name: tensor.float() for name, tensor in load_file(start).items()}
    except (OSError, SafetensorError, KeyError) as error:
        raise TrainingError(
            f"{start}: no weights of this codec ({error}). hint: name a codec.safetensors "
            "of a finished run, or a folder of exported weights"
        ) from error
    # CompressAI's bottleneck keeps buffers of coding tables, which training does not use.
    wanted = dict(network.named_parameters())
    wrong = [n for n, p in wanted.items() if n not in state or state[n].shape != p.shape]
    if wrong:
        raise TrainingError(f"{start}: not weights of this codec: {wrong[0]} does not fit")
    network.load_state_dict({name: state[name] for name in wanted}, strict=False)


@dataclass(frozen=True)
class CodecRecipeConfig:
    """Settings of the codec recipe.

    Attributes:
        data: folder of training images.
        patch_px: side of a patch, divisible by 16; see distortion for "ms-ssim".
        batch: patches per step and process.
        factors: each patch is of a picture reduced by one of these; repeat one to
            draw it more often.
        high_rate_bias: levels are 7 * u ** bias for u uniform; below 1 favours the
            high rates.
        part: "all"; "transforms" for all but the entropy part, so that files stay readable, and
            FORMER_SHARE of the patches as the encoder of `start` codes them, so that g_s goes on
            with files from before; or "decoder" for g_s alone, on the rounded output of what is
            frozen.
        start: weights to start from, see load_network; None for the initialisation.
        seed: of patches and initialisation.
        metric: "mse" or "ms-ssim".
    """

    data: Path
    patch_px: int = 192
    batch: int = 8
    factors: tuple[int, ...] = (1, 1, 2)
    high_rate_bias: float = 1.0
    part: str = "all"
    start: Path | None = None
    seed: int = 0
    metric: str = "mse"


class CodecBatch(NamedTuple):
    """What a step is trained on.

    Attributes:
        x: (B, 3, P, P) in [0, 1].
        level: (B,) real levels 0..7.
        former_latents: (F, 224, P/16, P/16) gained latents of the last F <= B patches, as an
            encoder from before codes them; F may be 0.
    """

    x: Tensor
    level: Tensor
    former_latents: Tensor


class RateDistortionObjective(nn.Module):
    """Network plus loss, so that DistributedDataParallel sees one forward.

    Args:
        network: in float.
        train_rate: False if the rate is no part of the loss.
        metric: see distortion.
    """

    def __init__(self, network: TrainableCdsr1, *, train_rate: bool, metric: str = "mse") -> None:
        super().__init__()
        self.network = network
        self.train_rate = train_rate
        self.metric = metric

    def forward(self, batch: CodecBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean over the batch of (lambda * distortion + bpp) * (lambda / lambda of level 3)^-1/2.

        The last factor makes the eight rates weigh alike: without it the loss of
        quality 8 is seven times that of quality 1. Former latents have a distortion, but no
        rate that anything trained could change.
        """
        x, level, former_latents = batch
        new = len(x) - len(former_latents)
        x_hat, y_bits, z_bits = self.network(x[:new], level[:new], noise=self.train_rate)
        bpp = (y_bits + z_bits) / (x.shape[-1] * x.shape[-2])
        if len(former_latents):
            x_hat = torch.cat([x_hat, self.network.synthesise(former_latents, level[new:])])
        distance, figures = distortion(x_hat, x, self.metric)
        lmbdas = LMBDAS[self.metric]
        lmbda = lmbda_at(level, lmbdas)
        weight = (lmbda / lmbdas[MIDDLE]) ** -0.5
        rate = bpp if self.train_rate else bpp.detach()
        loss = ((weight * lmbda * distance).sum() + (weight[:new] * rate).sum()) / len(x)
        if self.train_rate:
            # Moves the medians and tails of the factorised prior, nothing else.
            loss = loss + 1e-3 * self.network.entropy_bottleneck.loss()
        return loss, {"bpp": bpp.detach().mean(), **figures}


class CodecRecipe(AdamAlone):
    """Recipe (see `recipe.Recipe`) of the codec."""

    def __init__(self, config: CodecRecipeConfig, device: torch.device) -> None:
        self.config, self.device = config, device
        torch.manual_seed(config.seed)
        self.network = TrainableCdsr1()
        if config.start is not None:
            load_network(self.network, config.start)
        for name, parameter in self.network.named_parameters():
            parameter.requires_grad_(name.startswith(TRAINED[config.part]))
        self.module = RateDistortionObjective(
            self.network, train_rate=config.part != "decoder", metric=config.metric
        )
        self.module.to(memory_format=torch.channels_last)
        self.former: TrainableCdsr1 | None = None
        if config.part == "transforms":
            self.former = deepcopy(self.network).requires_grad_(False).to(device)
        smallest = config.patch_px * min(config.factors)
        self.images = ImageFolder(config.data, min_side_px=smallest)

    @property
    def aim(self) -> dict[str, str]:
        """Metric and part, and of transforms whose latents g_s is to go on with."""
        c = self.config
        former = {} if self.former is None else {"start": str(c.start)}
        return {"metric": c.metric, "part": c.part, **former}

    def batch(self, step: int, rank: int) -> CodecBatch:
        """Patches, their levels, and former latents of some where there is a former encoder."""
        c = self.config
        rng = batch_rng(c.seed, step, rank)
        patches = patch_batch(
            self.images, rng, count=c.batch, side_px=c.patch_px, factors=c.factors
        )
        x = as_tensor(patches, self.device)
        level = spread_levels(rng, c.batch, LEVELS, self.device, bias=c.high_rate_bias)
        latents = x.new_empty(0)
        if self.former is not None:
            level = level.roll(int(rng.integers(c.batch)))  # former latents are of any level
            # On average; but the encoder learns from a patch of every step.
            new = max(1, c.batch - int(FORMER_SHARE * c.batch + rng.random()))
            if new < c.batch:
                with torch.no_grad():
                    latents = self.former.code(x[new:], level[new:])
        return CodecBatch(x, level, latents)
