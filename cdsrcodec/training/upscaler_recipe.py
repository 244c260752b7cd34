"""Recipe of `latent` and `latent-perceptual`: trained on the frozen codec's rounded output."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from cdsrcodec.codec.upscalers import new_upscaler
from cdsrcodec.errors import TrainingError
from cdsrcodec.imageio.resampling import downscale
from cdsrcodec.models.registry import CDSR1
from cdsrcodec.sr.latent import CODEC_KEY, LatentUpscaler
from cdsrcodec.sr.registry import LATENT_CODECS, UPSCALE, UPSCALERS
from cdsrcodec.training.adversarial import AdversarialObjective, LossWeights
from cdsrcodec.training.frozen_codecs import load_frozen
from cdsrcodec.training.patches import (
    ImageFolder,
    as_tensor,
    batch_rng,
    patch_batch,
    spread_levels,
)
from cdsrcodec.training.storage import fill_network, read_metadata
from cdsrcodec.training.vgg import load_vgg

SYNTHESIS_RATE_FACTOR = 0.05  # what was copied from g_s is soon worse than g_s at more
ADAM_RATE_FACTOR = 0.5  # of the rest that Muon does not train
COPIED = ("upscaler.synthesis.", "upscaler.scale")
FROM_FEATURES = ("upscaler.trunk.", "upscaler.tail.")
LOG_MSE_WEIGHT = 0.02  # gradient norms around 0.1, which the clipping at 1 leaves alone


@dataclass(frozen=True)
class UpscalerRecipeConfig:
    """Settings of the upscaler recipe.

    Attributes:
        data: folder of training images, the large ones.
        codec: weights of the frozen codec, see frozen_codecs.load_frozen.
        patch_px: side of the low-resolution patch, divisible by 16.
        batch: patches per step and process.
        blocks: residual blocks of the trunk.
        seed: of patches and initialisation.
        start: an upscaler file to train on from, exported or of a run, see start_from; None to
            start anew.
        perceptual: weights of the losses of `latent-perceptual`, which is trained as ESRGAN
            is; None trains `latent`, for PSNR.
    """

    data: Path
    codec: Path
    patch_px: int = 64
    batch: int = 8
    blocks: int = 6
    seed: int = 0
    start: Path | None = None
    perceptual: LossWeights | None = None


def load_upscaler(upscaler: LatentUpscaler, start: Path) -> None:
    """Fill an upscaler from a file of its weights.

    Raises:
        TrainingError, MemoryError: as fill_network.
    """
    fill_network(upscaler, start, hint="--blocks must be that of the file")


def start_from(upscaler: LatentUpscaler, codec: str, start: Path) -> None:
    """Fill an upscaler for a codec from a file, or take over the trunk of one for another codec.

    The trunk sees the small picture too, and so is of use before it knows the new features:
    what it is told of these, `expand`, starts at 0, all else that reads the latent is left alone.

    Raises:
        TrainingError, MemoryError: as load_upscaler.
    """
    its_codec = _codec_of(start)
    if its_codec == codec:
        load_upscaler(upscaler, start)
        return
    other = new_upscaler(its_codec, len(upscaler.trunk))
    load_upscaler(other, start)
    for part in ("head", "trunk", "tail"):
        upscaler.get_submodule(part).load_state_dict(other.get_submodule(part).state_dict())
    shared = min(len(upscaler.trunk_scale), len(other.trunk_scale))  # the same qualities
    with torch.no_grad():
        upscaler.trunk_scale[:shared] = other.trunk_scale[:shared]
        for parameter in upscaler.expand.parameters():
            parameter.zero_()


def _codec_of(start: Path) -> str:
    """The codec whose latents an upscaler file is for.

    Raises:
        TrainingError: it cannot be read, or this version knows no such upscaler.
    """
    hint = "name the upscaler.safetensors of a run, or what was exported of it"
    codec = read_metadata(start, hint=hint).get(CODEC_KEY, CDSR1)
    if codec not in LATENT_CODECS:
        raise TrainingError(f"{start}: not weights of this network. hint: {hint}")
    return codec


class EnlargementObjective(nn.Module):
    """Upscaler plus loss: the mean log of each picture's MSE.

    It is, up to a factor, the mean PSNR that is reported; plain MSE would be ruled
    by the few patches that cannot be enlarged well.
    """

    def __init__(self, upscaler: nn.Module) -> None:
        super().__init__()
        self.upscaler = upscaler

    def forward(self, batch: tuple[Tensor, ...]) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss of (what the upscaler reads..., HR patches (B, 3, 4P, 4P) in [0, 1])."""
        *inputs, x_hr = batch
        error = self.upscaler(*inputs).float() - x_hr
        mse = error.square().mean((1, 2, 3))
        loss = LOG_MSE_WEIGHT * (mse + 1e-5).log().mean()
        return loss, {"psnr_rgb_db": -10 * mse.detach().log10().mean()}


def _check_perceptual(codec: str) -> None:
    """Refuse to train what decoding would not find.

    Raises:
        TrainingError: there is no latent-perceptual for this codec.
    """
    codecs = [entry.codec for entry in UPSCALERS if entry.name == "latent-perceptual"]
    if codec not in codecs:
        raise TrainingError(
            f"there is no latent-perceptual for {codec}, only for {', '.join(map(str, codecs))}. "
            "hint: leave out --perceptual, or name another --codec"
        )


def _objective(
    upscaler: LatentUpscaler, perceptual: LossWeights | None
) -> EnlargementObjective | AdversarialObjective:
    """What is trained: for PSNR, or with the losses of ESRGAN.

    Raises:
        TrainingError: these compare features, and no network for that is installed.
    """
    if perceptual is None:
        return EnlargementObjective(upscaler)
    features = load_vgg() if perceptual.features else None
    return AdversarialObjective(upscaler, perceptual, features, relativistic=True)


class UpscalerRecipe:
    """Recipe (see `recipe.Recipe`) of the 4x decoders."""

    def __init__(self, config: UpscalerRecipeConfig, device: torch.device) -> None:
        self.config, self.device = config, device
        torch.manual_seed(config.seed)
        self.codec = load_frozen(config.codec, device)
        if config.perceptual is not None:
            _check_perceptual(self.codec.name)
        upscaler = self.codec.new_upscaler(config.blocks)
        if config.start is not None:
            start_from(upscaler, self.codec.name, config.start)
        self.module = _objective(upscaler, config.perceptual)
        self.module.to(memory_format=torch.channels_last)
        self.images = ImageFolder(config.data, min_side_px=config.patch_px * UPSCALE)

    @property
    def aim(self) -> dict[str, str]:
        """The codec and the loss."""
        weights = self.config.perceptual
        loss = "for PSNR" if weights is None else f"with weights {tuple(weights)}"
        return {"codec": self.codec.name, "a loss": loss}

    def rate_factor(self, name: str) -> float:
        """Full for Muon, half for Adam, a twentieth for what was copied from g_s."""
        if name.startswith(COPIED):
            return SYNTHESIS_RATE_FACTOR
        return 1.0 if self.takes_muon(name) else ADAM_RATE_FACTOR

    def takes_muon(self, name: str) -> bool:
        """The weights of the new convolutions that read features."""
        return name.startswith(FROM_FEATURES) and name.endswith("weight")

    def batch(self, step: int, rank: int) -> tuple[Tensor, Tensor, Tensor]:
        """(y_hat, levels, HR patches): the codec runs on the reduced patches."""
        c = self.config
        rng = batch_rng(c.seed, step, rank)
        hr = patch_batch(
            self.images, rng, count=c.batch, side_px=c.patch_px * UPSCALE, factors=(1,)
        )
        lr = np.stack([downscale(patch, UPSCALE) for patch in hr])
        level = spread_levels(rng, c.batch, self.codec.levels, self.device)
        y_hat = self.codec.code(as_tensor(lr, self.device), level)
        return y_hat, level, as_tensor(hr, self.device)
