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
from numpy.typing import NDArray
from torch import Tensor, nn

from cdsrcodec.entropy import TableSet
from cdsrcodec.errors import TrainingError
from cdsrcodec.layers.integer import EXACT_LIMIT, FRACTION_BITS, ONE, worst_sums
from cdsrcodec.models import scale_prior
from cdsrcodec.models.context_prior import SCALE_MIN
from cdsrcodec.models.float_twin import LOG_SCALE_STEP, SCALE_COUNT
from cdsrcodec.models.integer_layers import HEAD_LAYERS, LAYERS
from cdsrcodec.sr.enlargers import NETWORK_KEY
from cdsrcodec.sr.latent import CODEC_KEY, LatentUpscaler
from cdsrcodec.sr.pixel_enlarger import PixelEnlarger
from cdsrcodec.training.codec_recipe import DECODER, ENCODER, TrainableCdsr1
from cdsrcodec.training.compressai import EntropyBottleneck, ScaleHyperprior
from cdsrcodec.training.gained_recipe import TrainableGainedHyperprior
from cdsrcodec.training.integers import quantise_layer
from cdsrcodec.training.storage import write_checkpoint, write_tensors
from cdsrcodec.zoo.conversion import entropy_tensors, transform_tensors

_TAIL_SIGMAS = 5.4  # beyond it a symbol is rarer than the smallest count, 2^-24
_HYPER_REACH = 512
_PREFIXES: dict[str, dict[str, tuple[str, ...]]] = {
    "all": {"encoder": ENCODER, "decoder": DECODER, "training": ("entropy_bottleneck.",)},
    "transforms": {"encoder": ENCODER, "decoder": DECODER},
    "decoder": {"decoder": DECODER},
}
"""For each part of a codec that can be trained, the parameters in each float file of it."""
_DIVERGED_HINT = "hint: the run diverged; train again at a lower --learning-rate"


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


def tabulate_bottleneck(bottleneck: EntropyBottleneck) -> tuple[TableSet, Tensor]:
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
        used = [_HYPER_REACH, *np.flatnonzero(channel > 2.0**-22)]
        first, last = min(used), max(used)
        symbols = channel[first : last + 1]
        probabilities.append(np.append(symbols, max(0.0, 1 - symbols.sum())))
        lows.append(int(first) - _HYPER_REACH)
    return TableSet.from_probabilities(probabilities, lows), medians.to(torch.int32)


def table_tensors(prefix: str, tables: TableSet) -> dict[str, Tensor]:
    """Tables as an entropy part holds them under a prefix."""
    arrays: dict[str, NDArray[np.int32]] = {
        "counts": tables.counts,
        "lengths": tables.lengths,
        "lows": tables.lows,
    }
    return {f"{prefix}.{name}": torch.from_numpy(array) for name, array in arrays.items()}


def _half(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Convolution weights in fp16, the rest in fp32, detached and contiguous."""
    halves = {
        name: (t.half() if t.ndim == 4 else t.float()).detach().contiguous()
        for name, t in state.items()
    }
    for name, tensor in halves.items():
        if not tensor.isfinite().all():
            raise TrainingError(f"{name}: too large for fp16, or not a number. {_DIVERGED_HINT}")
    return halves


def export_codec(network: TrainableCdsr1, folder: Path, part: str = "all") -> dict[str, int]:
    """Write the files of a codec, or of the part of it that was trained, into an existing folder.

    All are made before the first is written: a network that cannot be shipped leaves the folder as
    it was. encoder.safetensors and decoder.safetensors may change without a change of the format,
    which entropy.safetensors fixes; training.safetensors holds what only training needs: the
    factorised prior as a network.

    Args:
        network: in float.
        folder: of the files.
        part: as of CodecRecipeConfig.

    Returns:
        The largest |sum| that each integer layer written can reach; all are below 2^53.

    Raises:
        TrainingError: a layer cannot be exact, or a weight is no fp16 number.
        FileAccessError: a file cannot be written.
    """
    files = {
        name: _half({k: v for k, v in network.named_parameters() if k.startswith(prefixes)})
        for name, prefixes in _PREFIXES[part].items()
    }
    bounds: dict[str, int] = {}
    if part == "all":
        files["entropy"], bounds = _entropy_part(network)
    _write_files(folder, files)
    return bounds


def _entropy_part(network: TrainableCdsr1) -> tuple[dict[str, Tensor], dict[str, int]]:
    """Integer layers, tables and gains; and the largest |sum| that each layer can reach.

    Raises:
        TrainingError: a layer cannot be exact.
    """
    modules = dict(network.named_modules())
    tensors: dict[str, Tensor] = {}
    bounds: dict[str, int] = {}
    for name in LAYERS:
        conv = modules[name]
        assert isinstance(conv, nn.Conv2d)
        try:
            layer = quantise_layer(conv, is_head=name in HEAD_LAYERS)
        except ValueError as error:
            raise TrainingError(f"{name}: {error}. {_DIVERGED_HINT}") from error
        bounds[name] = int(worst_sums(**layer).max())
        if bounds[name] >= EXACT_LIMIT:
            raise TrainingError(
                f"{name}: sums up to {bounds[name]} are not exact in float64. {_DIVERGED_HINT}"
            )
        tensors |= {f"{name}.{part}": tensor for part, tensor in layer.items()}
    z_tables, medians = tabulate_bottleneck(network.entropy_bottleneck)
    tensors |= table_tensors("z", z_tables) | {"z.medians": medians}
    tensors |= table_tensors("gaussian", gaussian_tables())
    return tensors | _half({"quality.log_gain": network.quality.log_gain}), bounds


def _write_files(folder: Path, files: dict[str, dict[str, Tensor]]) -> None:
    """Write NAME.safetensors for each; that of the entropy part says what fixed point it is in."""
    for name, tensors in files.items():
        metadata = {"fraction_bits": str(FRACTION_BITS)} if name == "entropy" else None
        write_tensors(folder / f"{name}.safetensors", tensors, metadata)


def export_gained(network: TrainableGainedHyperprior, folder: Path) -> dict[str, int]:
    """Write the three files of a hyperprior with gains into an existing folder.

    Args:
        network: gets its tables, and quantiles of z that fit its prior.
        folder: of the files.

    Returns:
        As export_codec.

    Raises:
        TrainingError: a weight is not a number, or a layer cannot be exact.
        FileAccessError: a file cannot be written.
    """
    _check_finite(network)
    network.update(force=True, update_quantiles=True)
    state = network.state_dict()
    try:
        entropy = entropy_tensors(state)
    except ValueError as error:
        raise TrainingError(f"{error}. {_DIVERGED_HINT}") from error
    trained = {name: state[name] for name, _ in network.named_parameters()}
    gains, correction = ({n: state[n]} for n in ("quality.log_gain", "quality.log_gain_correction"))
    files = {
        "entropy": entropy | _half(gains),
        "encoder": _half(transform_tensors(trained, "g_a.", "h_a.")),
        "decoder": _half(transform_tensors(trained, "g_s.") | correction),
    }
    _write_files(folder, files)
    return {
        name: int(worst_sums(*(entropy[f"{name}.{p}"] for p in ("weight", "bias", "shift"))).max())
        for name in scale_prior.LAYERS
    }


def _check_finite(network: nn.Module) -> None:
    for name, parameter in network.named_parameters():
        if not parameter.isfinite().all():
            raise TrainingError(f"{name}: not a number. {_DIVERGED_HINT}")


def export_checkpoint(network: ScaleHyperprior, path: Path) -> None:
    """Write a checkpoint of CompressAI's layout with its tables, as `models import` takes it.

    Args:
        network: gets its tables, and quantiles of z that fit its prior.
        path: .safetensors, or anything else for what torch.save writes, which CompressAI reads.

    Raises:
        TrainingError: a weight is not a number.
        FileAccessError: it cannot be written.
    """
    _check_finite(network)
    network.update(force=True, update_quantiles=True)
    write = write_tensors if path.suffix == ".safetensors" else write_checkpoint
    write(path, network.state_dict())


def export_upscaler(upscaler: LatentUpscaler, codec: str, path: Path) -> None:
    """Write an upscaler with the size of its trunk and the codec whose latents it reads.

    Raises:
        TrainingError: a weight is no fp16 number.
        FileAccessError: it cannot be written.
    """
    metadata = {"blocks": str(len(upscaler.trunk)), CODEC_KEY: codec}
    write_tensors(path, _half(upscaler.state_dict()), metadata)


def export_enlarger(enlarger: PixelEnlarger, network: str, path: Path) -> None:
    """Write a 4x network of pixels, folded, with its name in sr.enlargers; as export_upscaler."""
    write_tensors(path, _half(enlarger.state_dict()), {NETWORK_KEY: network})
