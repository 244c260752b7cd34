"""Codecs that are finished, as the recipes of what enlarges their files need them.

They round as the encoder does, at levels that differ within a batch.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from cdsrcodec.codec.loading import decoder_network, encoder_network, entropy_model
from cdsrcodec.codec.rounding import round_along, round_hyper
from cdsrcodec.codec.upscalers import new_upscaler
from cdsrcodec.errors import ModelError, TrainingError
from cdsrcodec.layers.blocks import at_level, freeze
from cdsrcodec.layers.gdn import Gdn
from cdsrcodec.layers.memory import one_memory_error
from cdsrcodec.models.cdsr1 import LEVELS
from cdsrcodec.models.gained_hyperprior import GAIN_LEVELS, GainedDecoder
from cdsrcodec.models.registry import BMSHJ2018_HYPERPRIOR_GAIN, CDSR1, CODECS, CodecEntry
from cdsrcodec.sr.latent import LatentUpscaler
from cdsrcodec.training.codec_recipe import TrainableCdsr1, load_network
from cdsrcodec.training.export import export_gained
from cdsrcodec.training.gained_recipe import TrainableGainedHyperprior, load_gained

_OF_HYPERPRIOR = "g_s.0.weight"


class FrozenCodec(Protocol):
    """What recipes need of a codec with one network for all qualities.

    Attributes:
        name: in the registry.
        levels: how many qualities its tables have; levels are real, 0..levels - 1.
    """

    name: str
    levels: int

    def code(self, x: Tensor, level: Tensor) -> Tensor:
        """y_hat (B, M, P/16, P/16), without gradient, of x (B, 3, P, P) in [0, 1] at levels (B,).

        16 divides P.
        """

    def synthesise(self, y_hat: Tensor, level: Tensor) -> Tensor:
        """x_hat (B, 3, P, P), nominally [0, 1], without gradient, of what `code` gave."""

    def new_upscaler(self, blocks: int) -> LatentUpscaler:
        """An upscaler with a trunk of so many blocks, whose synthesis is a copy of g_s."""


class FrozenCdsr1:
    """`cdsr1` in float; see FrozenCodec.

    Args:
        weights: see codec_recipe.load_network.
        device: where it runs.

    Raises:
        TrainingError: no weights of this codec.
    """

    name, levels = CDSR1, LEVELS

    def __init__(self, weights: Path, device: torch.device) -> None:
        self.network = TrainableCdsr1()
        load_network(self.network, weights)
        freeze(self.network.parameters())
        self.network.eval().to(device)

    @torch.no_grad()
    def code(self, x: Tensor, level: Tensor) -> Tensor:
        """As of FrozenCodec."""
        return self.network.code(x, level) * self.network.quality.inverse_gain(level)

    @torch.no_grad()
    def synthesise(self, y_hat: Tensor, level: Tensor) -> Tensor:
        """As of FrozenCodec."""
        tables = self.network.quality
        scale16, scale8 = at_level(tables.g_s_scale16, level), at_level(tables.g_s_scale8, level)
        x_hat: Tensor = self.network.g_s(y_hat, scale16, scale8)
        return x_hat

    def new_upscaler(self, blocks: int) -> LatentUpscaler:
        """As of FrozenCodec; the scales of the qualities are copied too."""
        upscaler, tables = new_upscaler(self.name, blocks), self.network.quality
        upscaler.get_submodule("synthesis").load_state_dict(self.network.g_s.state_dict())
        with torch.no_grad():
            upscaler.scale16.copy_(tables.g_s_scale16)
            upscaler.scale8.copy_(tables.g_s_scale8)
        return upscaler


class FrozenGained:
    """`bmshj2018-hyperprior-gain` in the very networks that encode and decode; see FrozenCodec.

    Args:
        weights: the gained.safetensors of a run, which is exported for this, or a folder of
            exported files.
        device: where the transforms run; the entropy part stays on the CPU.

    Raises:
        TrainingError: no weights of this codec.
        MemoryError: there is no room for them.
    """

    name, levels = BMSHJ2018_HYPERPRIOR_GAIN, GAIN_LEVELS

    def __init__(self, weights: Path, device: torch.device) -> None:
        if weights.is_dir():
            self._load(weights, device)
            return
        network = TrainableGainedHyperprior()
        load_gained(network, weights)
        with TemporaryDirectory() as folder:
            export_gained(network, Path(folder))
            self._load(Path(folder), device)

    def _load(self, folder: Path, device: torch.device) -> None:
        model_id = CODECS[self.name].model_ids["mse"]
        entry = CodecEntry(self.name, model_id, folder)
        try:
            with one_memory_error():
                self.model = entropy_model(entry)
                self.encoder = encoder_network(entry, device)
                self.decoder = decoder_network(entry, device)
        except (ModelError, KeyError, RuntimeError) as error:
            raise TrainingError(
                f"{folder}: no weights of {self.name}. hint: name a gained.safetensors of a "
                "finished run, or a folder of exported weights"
            ) from error

    @torch.no_grad()
    def code(self, x: Tensor, level: Tensor) -> Tensor:
        """As of FrozenCodec."""
        y_gained = self.encoder.to_latent(self.encoder.features(x), level)
        z = self.encoder.to_hyper(y_gained)
        pairs = zip(y_gained.cpu(), z.cpu(), strict=True)  # a walk goes through one latent
        rounded = torch.cat([self._round(y[None], its_z[None]) for y, its_z in pairs])
        return self.decoder.dequantise(rounded.to(x.device), level)

    @torch.no_grad()
    def synthesise(self, y_hat: Tensor, level: Tensor) -> Tensor:
        """As of FrozenCodec."""
        x_hat: Tensor = self.decoder(y_hat, level)
        return x_hat

    def _round(self, y_gained: Tensor, z: Tensor) -> Tensor:
        """A gained latent (1, M, h, w) as a decoder will know it."""
        prior = self.model.prior
        walk = prior.walk(round_hyper(prior, z), *y_gained.shape[2:])
        round_along(self.model, walk, y_gained)
        return walk.y_hat_gained()

    def new_upscaler(self, blocks: int) -> LatentUpscaler:
        """As of FrozenCodec.

        The scales of the qualities, which g_s does not have, are 1. Its GDN keeps its parameters
        for good: they are those that act, and nothing would keep them from becoming negative.
        """
        assert isinstance(self.decoder, GainedDecoder)
        upscaler = new_upscaler(self.name, blocks)
        synthesis = upscaler.get_submodule("synthesis")
        synthesis.load_state_dict(self.decoder.g_s.state_dict())
        for layer in synthesis.modules():
            if isinstance(layer, Gdn):
                freeze(layer.parameters())
        return upscaler


_FROZEN: dict[str, Callable[[Path, torch.device], FrozenCodec]] = {
    CDSR1: FrozenCdsr1,
    BMSHJ2018_HYPERPRIOR_GAIN: FrozenGained,
}


def load_frozen(weights: Path, device: torch.device) -> FrozenCodec:
    """The codec whose weights these are, as of codec_of_weights, which runs on the device."""
    return _FROZEN[codec_of_weights(weights)](weights, device)


def codec_of_weights(weights: Path) -> str:
    """The codec whose weights these are, by the names of their tensors.

    Args:
        weights: the codec.safetensors or gained.safetensors of a run, or a folder of exported
            files.

    Raises:
        TrainingError: no weights of a codec.
    """
    file = weights / "decoder.safetensors" if weights.is_dir() else weights
    try:
        with safe_open(file, "pt") as opened:
            names = set(opened.keys())
    except (OSError, SafetensorError) as error:
        raise TrainingError(
            f"{weights}: no weights of a codec ({error}). hint: name a codec.safetensors or "
            "gained.safetensors of a finished run, or a folder of exported weights"
        ) from error
    return BMSHJ2018_HYPERPRIOR_GAIN if _OF_HYPERPRIOR in names else CDSR1
