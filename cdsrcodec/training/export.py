"""From trained float networks to the files that are shipped.

The entropy networks become integers, the priors become frequency tables, the
transforms fp16. The exactness of the integer layers is proven here once more,
layer by layer, and the proof's figures are returned for the log.
"""

from __future__ import annotations

import math
from copy import deepcopy
from pathlib import Path

import numpy as np
import torch
from compressai.entropy_models import EntropyBottleneck
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from cdsrcodec.entropy import TableSet
from cdsrcodec.layers.integer import EXACT_LIMIT, FRACTION_BITS, ONE, worst_sum
from cdsrcodec.models.cdsr1 import LATENT_CHANNELS
from cdsrcodec.models.context_prior import SCALE_MIN
from cdsrcodec.models.integer_prior import HEAD_LAYERS, LAYERS
from cdsrcodec.sr.latent import LatentUpscaler
from cdsrcodec.training.codec_recipe import TrainableCdsr1

SCALE_COUNT = 64
SCALE_MAX = 256.0
LOG_SCALE_STEP = math.log(SCALE_MAX / SCALE_MIN) / (SCALE_COUNT - 1)
_TAIL_SIGMAS = 5.4  # beyond it a symbol is rarer than the smallest count, 2^-24
_MAX_SHIFT = 24
_HYPER_REACH = 512


def quantise_layer(conv: nn.Conv2d, *, is_head: bool) -> dict[str, Tensor]:
    """int16 weights with a power-of-two scale per output channel.

    A head's second half is log scales; it is turned affinely into indexes of
    the scale table, so that the integer network puts these out directly.
    """
    assert conv.bias is not None
    weight, bias = conv.weight.detach().double(), conv.bias.detach().double()
    if is_head:
        weight, bias = weight.clone(), bias.clone()
        weight[LATENT_CHANNELS:] /= LOG_SCALE_STEP
        bias[LATENT_CHANNELS:] = (bias[LATENT_CHANNELS:] - math.log(SCALE_MIN)) / LOG_SCALE_STEP
    largest = weight.abs().amax((1, 2, 3)).clamp(min=2.0**-30)
    shift = (32767 / largest).log2().floor().clamp(1, _MAX_SHIFT)
    if (largest * torch.exp2(shift) > 32767).any():
        raise ValueError("a weight is too large for int16 at the smallest shift")
    scale = torch.exp2(shift)
    return {
        "weight": (weight * scale[:, None, None, None]).round().to(torch.int16),
        "bias": (bias * scale * ONE).round().to(torch.int64),
        "shift": shift.to(torch.uint8),
    }


def dequantise_layer(layer: dict[str, Tensor], *, is_head: bool) -> tuple[Tensor, Tensor]:
    """Inverse of quantise_layer: float weight and bias."""
    scale = torch.exp2(layer["shift"].double())
    weight = layer["weight"].double() / scale[:, None, None, None]
    bias = layer["bias"].double() / (scale * ONE)
    if is_head:
        weight[LATENT_CHANNELS:] *= LOG_SCALE_STEP
        bias[LATENT_CHANNELS:] = bias[LATENT_CHANNELS:] * LOG_SCALE_STEP + math.log(SCALE_MIN)
    return weight.float(), bias.float()


def gaussian_tables() -> TableSet:
    """Zero-mean Gaussians at SCALE_COUNT log-spaced scales, integrated over unit bins."""
    probabilities, lows = [], []
    for index in range(SCALE_COUNT):
        scale = SCALE_MIN * math.exp(index * LOG_SCALE_STEP)
        reach = math.ceil(_TAIL_SIGMAS * scale) + 1
        edges = (torch.arange(-reach, reach + 2, dtype=torch.float64) - 0.5) / scale
        cumulative = torch.special.ndtr(edges)
        symbols = cumulative.diff().numpy()
        probabilities.append(np.append(symbols, 2 * float(cumulative[0])))
        lows.append(-reach)
    return TableSet.from_probabilities(probabilities, lows)


def hyper_tables(bottleneck: EntropyBottleneck) -> tuple[TableSet, Tensor]:
    """(table of each channel of z about its median, medians in fixed point)."""
    bottleneck = deepcopy(bottleneck).double().eval()
    medians = (bottleneck.quantiles.detach()[:, 0, 1] * ONE).round()
    with torch.no_grad():
        # The decoder's medians are fixed point: tabulate about those.
        bottleneck.quantiles[:, 0, 1] = medians / ONE
        offsets = torch.arange(-_HYPER_REACH, _HYPER_REACH + 1, dtype=torch.float64)
        z = (medians / ONE)[:, None] + offsets
        pmf = bottleneck(z[None, :, :, None], training=False)[1][0, :, :, 0].numpy()
    probabilities, lows = [], []
    for channel in pmf:
        used = np.flatnonzero(channel > 2.0**-22)
        first, last = min(used[0], _HYPER_REACH), max(used[-1], _HYPER_REACH)
        symbols = channel[first : last + 1]
        probabilities.append(np.append(symbols, max(0.0, 1 - symbols.sum())))
        lows.append(int(first) - _HYPER_REACH)
    return TableSet.from_probabilities(probabilities, lows), medians.to(torch.int32)


def _table_tensors(prefix: str, tables: TableSet) -> dict[str, Tensor]:
    arrays: dict[str, NDArray[np.int32]] = {
        "counts": tables.counts,
        "lengths": tables.lengths,
        "lows": tables.lows,
    }
    return {f"{prefix}.{name}": torch.from_numpy(array) for name, array in arrays.items()}


def _half(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Convolution weights in fp16, the rest in fp32, detached and contiguous."""
    return {
        name: (t.half() if t.ndim == 4 else t.float()).detach().contiguous()
        for name, t in state.items()
    }


def export_entropy(network: TrainableCdsr1, folder: Path) -> dict[str, int]:
    """Write entropy.safetensors, which fixes the format of the model.

    Returns:
        The largest |sum| each integer layer can reach; all are below 2^53.

    Raises:
        ValueError: a layer cannot be exact.
    """
    modules = dict(network.named_modules())
    tensors: dict[str, Tensor] = {}
    bounds: dict[str, int] = {}
    for name in LAYERS:
        conv = modules[name]
        assert isinstance(conv, nn.Conv2d)
        layer = quantise_layer(conv, is_head=name in HEAD_LAYERS)
        bounds[name] = worst_sum(layer["weight"], layer["bias"], layer["shift"])
        if bounds[name] >= EXACT_LIMIT:
            raise ValueError(f"{name}: sums up to {bounds[name]} are not exact in float64")
        tensors |= {f"{name}.{part}": tensor for part, tensor in layer.items()}
    z_tables, medians = hyper_tables(network.entropy_bottleneck)
    tensors |= _table_tensors("z", z_tables) | {"z.medians": medians}
    tensors |= _table_tensors("gaussian", gaussian_tables())
    tensors["quality.log_gain"] = network.quality.log_gain.detach().float().contiguous()
    save_file(tensors, folder / "entropy.safetensors", {"fraction_bits": str(FRACTION_BITS)})
    return bounds


def export_transforms(network: TrainableCdsr1, folder: Path) -> None:
    """Write encoder.safetensors, decoder.safetensors and training.safetensors.

    The last one holds what only training needs: the factorised prior as a network.
    """
    state = network.state_dict()
    encoder_keys = ("g_a.", "h_a.", "quality.g_a_")
    decoder_keys = ("g_s.", "quality.g_s_", "quality.log_gain_correction")
    parameters = dict(network.entropy_bottleneck.named_parameters(prefix="entropy_bottleneck"))
    for name, part in (
        ("encoder", {k: v for k, v in state.items() if k.startswith(encoder_keys)}),
        ("decoder", {k: v for k, v in state.items() if k.startswith(decoder_keys)}),
        ("training", {k: v.detach() for k, v in parameters.items()}),
    ):
        save_file(_half(part), folder / f"{name}.safetensors")


def export_codec(network: TrainableCdsr1, folder: Path) -> dict[str, int]:
    """Write all files of a codec; see export_entropy for what is returned."""
    folder.mkdir(parents=True, exist_ok=True)
    bounds = export_entropy(network, folder)
    export_transforms(network, folder)
    return bounds


def load_exported(network: TrainableCdsr1, folder: Path) -> None:
    """Fill a float network from exported files, to train on from a release."""
    entropy = load_file(folder / "entropy.safetensors")
    state = {"quality.log_gain": entropy["quality.log_gain"]}
    for name in LAYERS:
        layer = {part: entropy[f"{name}.{part}"] for part in ("weight", "bias", "shift")}
        weight, bias = dequantise_layer(layer, is_head=name in HEAD_LAYERS)
        state |= {f"{name}.weight": weight, f"{name}.bias": bias}
    for part in ("encoder", "decoder", "training"):
        state |= load_file(folder / f"{part}.safetensors")
    network.load_state_dict({k: v.float() for k, v in state.items()}, strict=False)


def export_upscaler(upscaler: LatentUpscaler, path: Path) -> None:
    """Write an upscaler with the size of its trunk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(_half(upscaler.state_dict()), path, {"blocks": str(len(upscaler.trunk))})
