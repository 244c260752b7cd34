"""Loads the networks of the registry, once per process and device.

What a codec is made of stands in _PARTS; everything else here and in `codec` serves all of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property, partial
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from cdsrcodec.codec.upscalers import new_upscaler
from cdsrcodec.entropy import TableSet
from cdsrcodec.errors import DeviceError, ModelError
from cdsrcodec.layers.memory import one_memory_error
from cdsrcodec.models import gained_hyperprior
from cdsrcodec.models.cdsr1 import Decoder, Encoder
from cdsrcodec.models.float_twin import FloatTwin, float_twin
from cdsrcodec.models.gained_hyperprior import GainedDecoder, GainedEncoder
from cdsrcodec.models.hyperprior import HyperpriorDecoder, HyperpriorEncoder, channels_at
from cdsrcodec.models.integer_prior import IntegerPrior
from cdsrcodec.models.interface import DecoderNetwork, EncoderNetwork, Prior
from cdsrcodec.models.registry import (
    BMSHJ2018_HYPERPRIOR,
    BMSHJ2018_HYPERPRIOR_GAIN,
    CDSR1,
    HASH_SUFFIX,
    CodecEntry,
    how_to_mend,
)
from cdsrcodec.models.scale_prior import ScalePrior
from cdsrcodec.sr.enlargers import load_enlarger
from cdsrcodec.sr.esrgan import load_esrgan
from cdsrcodec.sr.latent import CODEC_KEY, LatentUpscaler
from cdsrcodec.sr.pixel_enlarger import PixelEnlarger
from cdsrcodec.sr.registry import UpscalerEntry, weights_of
from cdsrcodec.sr.rrdbnet import RrdbNet

ROUNDING_REACH = 32
Network = TypeVar("Network", bound=nn.Module)
GAIN_PREFIX = "quality."
"""Of tensors in the entropy part that the transforms share."""
GAUSSIAN, COUNTED = "gaussian", "counted"
"""Prefixes of the tables of the latent: zero-mean Gaussians, and what takes their place in an
entropy part that has it: frequencies counted in photographs (training.frequencies)."""


class _Parts(NamedTuple):
    """How the networks of a codec are made, before they have their weights."""

    encoder: Callable[[CodecEntry], EncoderNetwork]
    decoder: Callable[[CodecEntry], DecoderNetwork]
    prior: Callable[[Mapping[str, Tensor]], Prior]


_PARTS = {
    CDSR1: _Parts(lambda _: Encoder(), lambda _: Decoder(), IntegerPrior),
    BMSHJ2018_HYPERPRIOR: _Parts(
        lambda entry: HyperpriorEncoder(*channels_at(entry.one_quality)),
        lambda entry: HyperpriorDecoder(*channels_at(entry.one_quality)),
        ScalePrior,
    ),
    BMSHJ2018_HYPERPRIOR_GAIN: _Parts(
        lambda _: GainedEncoder(),
        lambda _: GainedDecoder(),
        partial(ScalePrior, rounding_rate_weight=gained_hyperprior.ROUNDING_RATE_WEIGHT),
    ),
}


@dataclass(frozen=True)
class EntropyModel:
    """What every reader of a codec's streams must have, exactly as it was released."""

    prior: Prior
    latent: TableSet
    hyper: TableSet
    gains: dict[str, Tensor]  # what of it the transforms need too
    metadata: dict[str, str]

    @cached_property
    def rounding_offsets(self) -> NDArray[np.float64]:
        """(T, ROUNDING_REACH + 1): how far below n > 0 a magnitude is coded as n - 1.

        With o = offsets[table, n], a residual of magnitude r nearest to n goes to n - 1 if
        r < n - o, which minimises error^2 + rounding_rate_weight * bits of the two.
        o = 1/2 never does; so it is beyond the reach, where symbols are rare.
        """
        tables = np.arange(len(self.latent), dtype=np.uint8).repeat(ROUNDING_REACH + 1)
        symbols = np.tile(np.arange(ROUNDING_REACH + 1, dtype=np.int32), len(self.latent))
        bits = self.latent.bits(symbols, tables).reshape(len(self.latent), -1)
        saved_bits = np.diff(bits, axis=1, prepend=bits[:, :1])
        saved_bits[:, -1] = 0
        # (r - (n - 1))^2 - (r - n)^2 = 1 - 2 (n - r)
        offsets: NDArray[np.float64] = (1 - self.prior.rounding_rate_weight * saved_bits) / 2
        return offsets

    def hyper_indexes(self, height: int, width: int) -> NDArray[np.uint8]:
        """Table of each z symbol of a (height, width) hyper-latent, flat: its channel."""
        return np.repeat(np.arange(self.prior.hyper_channels, dtype=np.uint8), height * width)


def resolve_device(name: str) -> torch.device:
    """The torch device for "auto", "cpu" or "cuda".

    Raises:
        DeviceError: another name, or "cuda" where there is none.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise DeviceError(f"there is no device {name!r}. hint: use auto, cpu or cuda")
    if name == "cpu":
        return torch.device("cpu")
    if torch.cuda.is_available():
        return torch.device("cuda")
    if name == "cuda":
        raise DeviceError("no CUDA device is available. hint: use --device auto or cpu")
    return torch.device("cpu")


@cache
def entropy_model(entry: CodecEntry) -> EntropyModel:
    """The exact part of a codec.

    Raises:
        ModelError: its file is missing or damaged.
    """
    tensors, metadata = _read_weights(entry.entropy_file)
    gains = {name: tensor for name, tensor in tensors.items() if name.startswith(GAIN_PREFIX)}
    is_counted = entry.former_tag is None and f"{COUNTED}.counts" in tensors
    latent, hyper = tables_of(tensors, COUNTED if is_counted else GAUSSIAN), tables_of(tensors, "z")
    return EntropyModel(_PARTS[entry.name].prior(tensors), latent, hyper, gains, metadata)


def tables_of(tensors: Mapping[str, Tensor], prefix: str) -> TableSet:
    """The tables GAUSSIAN, COUNTED or "z" of an entropy part."""
    counts, lengths, lows = (
        tensors[f"{prefix}.{name}"].numpy() for name in ("counts", "lengths", "lows")
    )
    return TableSet(counts, lengths, lows)


@cache
def encoder_network(entry: CodecEntry, device: torch.device) -> EncoderNetwork:
    """g_a and h_a, ready to run."""
    with torch.device("meta"):
        network = _PARTS[entry.name].encoder(entry)
    return _fill(network, _read_transform(entry, entry.encoder_file), device)


@cache
def decoder_network(entry: CodecEntry, device: torch.device) -> DecoderNetwork:
    """g_s, ready to run."""
    with torch.device("meta"):
        network = _PARTS[entry.name].decoder(entry)
    return _fill(network, _read_transform(entry, entry.decoder_file), device)


def _read_transform(entry: CodecEntry, file: Path) -> dict[str, Tensor]:
    """Tensors of a codec's encoder or decoder, and those of the entropy part that it shares.

    Those of the package may become better, so its entropy file names no hash of them.

    Raises:
        ModelError: the file is missing, damaged, or not the one that the entropy tag stands for.
    """
    model = entropy_model(entry)
    tensors, _ = _read_weights(file, sha256=model.metadata.get(f"{file.stem}{HASH_SUFFIX}"))
    return tensors | model.gains


@cache
def float_networks(entry: CodecEntry, device: torch.device) -> FloatTwin:
    """The entropy networks in float, ready for gradients of what goes in."""
    return float_twin(_read_weights(entry.entropy_file)[0], device)


@cache
def latent_upscaler(entry: UpscalerEntry, device: torch.device) -> LatentUpscaler:
    """A 4x decoder of latents, ready to run.

    Raises:
        ModelError: its file is missing, damaged, or for another codec's latents.
    """
    assert entry.codec is not None
    file = weights_of(entry)
    tensors, metadata = _read_weights(file)
    codec = metadata.get(CODEC_KEY, CDSR1)
    if codec != entry.codec:
        raise ModelError(
            f"{file}: weights for latents of {codec}, not of {entry.codec}. "
            f"hint: {how_to_mend(file)}"
        )
    with torch.device("meta"):
        network = new_upscaler(codec, int(metadata["blocks"]))
    return _fill(network, tensors, device)


@cache
def esrgan_network(weights: Path | None, device: torch.device) -> RrdbNet:
    """RRDBNet with the weights that load_esrgan finds, ready to run."""
    return _ready(load_esrgan(weights), device)


@cache
def pixel_enlarger(
    entry: UpscalerEntry, weights: Path | None, device: torch.device
) -> PixelEnlarger:
    """A network of sr.enlargers with the weights of a file, or its shipped ones, ready to run."""
    assert entry.network is not None
    file = weights_of(entry) if weights is None else weights
    return _ready(load_enlarger(entry.network, file), device)


# Inference tensors can never again take part in gradients, and these are kept for all callers.
@torch.inference_mode(False)
def _read_weights(
    path: Path, *, sha256: str | None = None
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a weight file.

    Args:
        path: the file.
        sha256: hex digits that it must have, which takes 0.1 s for 20 MB; None for any.

    Raises:
        ModelError: the file is missing or damaged, or has another hash.
        MemoryError: there is no room for it.
    """
    try:
        if sha256 is not None:
            _check_hash(path, sha256)
        with one_memory_error(), safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return tensors, file.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise ModelError(
            f"{path}: the weights cannot be read ({error}). hint: {how_to_mend(path)}"
        ) from error


def _check_hash(path: Path, sha256: str) -> None:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        raise ModelError(
            f"{path}: not the weights that were installed: their SHA-256 begins with {found[:8]}, "
            f"not {sha256[:8]}. hint: {how_to_mend(path)}"
        )


@torch.inference_mode(False)
def _fill(network: Network, tensors: dict[str, Tensor], device: torch.device) -> Network:
    """Give a network of the meta device its stored weights, as float32.

    Starting from the meta device saves the random initialisation, which takes
    longer than reading the weights.
    """
    state = {
        name.removeprefix(GAIN_PREFIX): tensor.to(device, torch.float32)
        for name, tensor in tensors.items()
    }
    network.load_state_dict(state, assign=True)
    return _ready(network, device)


def _ready(network: Network, device: torch.device) -> Network:
    network = network.to(device).to(memory_format=torch.channels_last)
    return network.eval().requires_grad_(False)
