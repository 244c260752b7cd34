"""Recipe of the 4x networks of pixels: on clean pictures, or on those of a frozen codec."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from cdsrcodec.imageio.resampling import downscale
from cdsrcodec.sr.enlargers import NETWORKS
from cdsrcodec.sr.pixel_enlarger import PixelEnlarger
from cdsrcodec.sr.registry import UPSCALE
from cdsrcodec.training.adversarial import AdversarialObjective, LossWeights
from cdsrcodec.training.folding import trainable
from cdsrcodec.training.frozen_codecs import FrozenCodec, load_frozen
from cdsrcodec.training.patches import (
    ImageFolder,
    as_tensor,
    batch_rng,
    patch_batch,
    spread_levels,
)
from cdsrcodec.training.storage import fill_network, tensor_names
from cdsrcodec.training.upscaler_recipe import EnlargementObjective
from cdsrcodec.training.vgg import load_vgg

ADAM_RATE_FACTOR = 0.5  # of what Muon does not train
FROM_PIXELS = ("upscaler.head.", "upscaler.skip.")


@dataclass(frozen=True)
class EnlargerRecipeConfig:
    """Settings of the recipe.

    Attributes:
        data: folder of training images, the large ones.
        network: a name in sr.enlargers.NETWORKS.
        codec: weights of the frozen codec whose decoded pictures are enlarged, at all of its
            qualities, see frozen_codecs.load_frozen; None to enlarge clean pictures.
        patch_px: side of the low-resolution patch; divisible by 16 with a codec.
        batch: patches per step and process.
        adversarial_weight: of SRGAN's adversarial loss; 0 trains for PSNR.
        content: what the adversarial loss stands beside, "pixels" or "vgg", features.
        seed: of patches and initialisation.
        start: a file to train on from, see load_trainable; None to start anew.
    """

    data: Path
    network: str = "edsr"
    codec: Path | None = None
    patch_px: int = 48
    batch: int = 4
    adversarial_weight: float = 0.0
    content: str = "pixels"
    seed: int = 0
    start: Path | None = None


def load_trainable(network: str, start: Path) -> PixelEnlarger:
    """A network of sr.enlargers from the file that a run left, or from what was exported of one.

    The latter is folded, and is trained on as that: what normalised has done its work.

    Raises:
        TrainingError, MemoryError: as fill_network.
    """
    hint = "name an enlarger.safetensors of the same --network, of a run or exported"
    plain = NETWORKS[network]()
    is_folded = tensor_names(start, hint=hint) == plain.state_dict().keys()
    enlarger = plain if is_folded else trainable(network)
    fill_network(enlarger, start, hint=hint)
    return enlarger


class EnlargerRecipe:
    """Recipe (see `recipe.Recipe`) of the 4x networks of pixels."""

    def __init__(self, config: EnlargerRecipeConfig, device: torch.device) -> None:
        self.config, self.device = config, device
        torch.manual_seed(config.seed)
        self.codec = None if config.codec is None else load_frozen(config.codec, device)
        enlarger = (
            trainable(config.network)
            if config.start is None
            else load_trainable(config.network, config.start)
        )
        self.module: nn.Module
        if config.adversarial_weight:
            features = load_vgg() if config.content == "vgg" else None
            weights = LossWeights(adversarial=config.adversarial_weight)
            if features is None:
                weights = weights._replace(pixels=1.0, features=0.0)
            self.module = AdversarialObjective(enlarger, weights, features)
        else:
            self.module = EnlargementObjective(enlarger)
        self.module.to(memory_format=torch.channels_last)
        self.hidden = {
            name
            for name, parameter in self.module.named_parameters()
            # The length of a normalised weight has one column.
            if parameter.ndim == 4 and parameter.shape[1] > 1 and name.startswith("upscaler.")
        }
        self.images = ImageFolder(config.data, min_side_px=config.patch_px * UPSCALE)

    @property
    def aim(self) -> dict[str, str]:
        """The network, the pictures that it enlarges and the loss."""
        c = self.config
        pictures = "that are clean" if self.codec is None else f"of {self.codec.name}"
        judge = f"of {c.content} and {c.adversarial_weight} of a discriminator's"
        loss = judge if c.adversarial_weight else "for PSNR"
        return {"network": c.network, "pictures": pictures, "a loss": loss}

    def rate_factor(self, name: str) -> float:
        """Full for Muon, half for Adam."""
        return 1.0 if self.takes_muon(name) else ADAM_RATE_FACTOR

    def takes_muon(self, name: str) -> bool:
        """The weights of the convolutions that read features."""
        return name in self.hidden and not name.startswith(FROM_PIXELS)

    def batch(self, step: int, rank: int) -> tuple[Tensor, Tensor]:
        """(LR patches (B, 3, P, P), HR patches (B, 3, 4P, 4P)), 8-bit pictures in [0, 1]."""
        c = self.config
        rng = batch_rng(c.seed, step, rank)
        hr = patch_batch(
            self.images, rng, count=c.batch, side_px=c.patch_px * UPSCALE, factors=(1,)
        )
        x = as_tensor(np.stack([downscale(patch, UPSCALE) for patch in hr]), self.device)
        if self.codec is not None:
            level = spread_levels(rng, c.batch, self.codec.levels, self.device)
            x = _decoded(self.codec, x, level)
        return x, as_tensor(hr, self.device)


def _decoded(codec: FrozenCodec, x: Tensor, level: Tensor) -> Tensor:
    """What native decoding gives: pictures of 8 bits."""
    x_hat = codec.synthesise(codec.code(x, level), level)
    return (255 * x_hat).round().clamp(0, 255) / 255
