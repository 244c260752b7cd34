"""Whole runs: recipe, loop and group put together, and the float weights they leave.

A run's folder holds `checkpoint.pt` (to resume), `log.csv`, and at the end
`codec.safetensors`, `hyperprior.safetensors`, `gained.safetensors`, `upscaler.safetensors`,
`perceptual.safetensors` or `enlarger.safetensors`, the averaged float weights that
`export_run` turns into the files that are shipped or installed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from cdsrcodec.codec.upscalers import new_upscaler
from cdsrcodec.errors import OutputExistsError, TrainingError
from cdsrcodec.imageio.folders import make_folder
from cdsrcodec.layers.precision import resolve_precision
from cdsrcodec.models.gained_hyperprior import GAIN_LEVELS
from cdsrcodec.models.hyperprior import channels_at
from cdsrcodec.sr.enlargers import NETWORK_KEY
from cdsrcodec.sr.latent import CODEC_KEY
from cdsrcodec.training.codec_recipe import (
    CodecRecipe,
    CodecRecipeConfig,
    TrainableCdsr1,
    load_network,
)
from cdsrcodec.training.compressai import ScaleHyperprior
from cdsrcodec.training.distributed import joined_group
from cdsrcodec.training.enlarger_recipe import (
    EnlargerRecipe,
    EnlargerRecipeConfig,
    load_trainable,
)
from cdsrcodec.training.export import (
    export_checkpoint,
    export_codec,
    export_enlarger,
    export_gained,
    export_upscaler,
)
from cdsrcodec.training.finished_runs import (
    BLOCKS_KEY,
    CODEC_FILE,
    ENLARGER_FILE,
    GAINED_FILE,
    HYPERPRIOR_FILE,
    PART_KEY,
    PERCEPTUAL_FILE,
    UPSCALER_FILE,
    find_finished,
)
from cdsrcodec.training.folding import folded
from cdsrcodec.training.frozen_codecs import codec_of_weights
from cdsrcodec.training.gained_recipe import (
    GainedRecipe,
    GainedRecipeConfig,
    TrainableGainedHyperprior,
    load_gained,
)
from cdsrcodec.training.hyperprior_recipe import (
    HyperpriorRecipe,
    HyperpriorRecipeConfig,
    load_hyperprior,
)
from cdsrcodec.training.loop import LoopConfig, StepReport, TrainingLoop
from cdsrcodec.training.recipe import Recipe
from cdsrcodec.training.storage import write_tensors
from cdsrcodec.training.upscaler_recipe import (
    UpscalerRecipe,
    UpscalerRecipeConfig,
    load_upscaler,
)

_SHIPPED_UPSCALERS = {
    UPSCALER_FILE: "latent.safetensors",
    PERCEPTUAL_FILE: "latent-perceptual.safetensors",
}
OnStep = Callable[[StepReport], None]


def train_codec(
    config: CodecRecipeConfig | HyperpriorRecipeConfig | GainedRecipeConfig,
    loop_config: LoopConfig,
    device: torch.device,
    on_step: OnStep | None = None,
) -> Path:
    """Run the recipe of a codec to the end of its budget, or go on with it.

    Returns:
        The file of averaged float weights.

    Raises:
        InputImageError: no training images.
        TrainingError: weights or checkpoint do not fit, or memory runs out in a step.
        FileAccessError: the images cannot be read, or the output not written.
    """
    build: Callable[[torch.device], Recipe]
    if isinstance(config, HyperpriorRecipeConfig):
        build = partial(HyperpriorRecipe, config)
        file, metadata = HYPERPRIOR_FILE, {"quality": str(config.quality)}
    elif isinstance(config, GainedRecipeConfig):
        build = partial(GainedRecipe, config)
        file, metadata = GAINED_FILE, {"levels": str(GAIN_LEVELS)}
    else:
        build = partial(CodecRecipe, config)
        file, metadata = CODEC_FILE, {PART_KEY: config.part}
    return _run(build, loop_config, device, on_step, "network.", file, metadata)


def train_upscaler(
    config: UpscalerRecipeConfig,
    loop_config: LoopConfig,
    device: torch.device,
    on_step: OnStep | None = None,
) -> Path:
    """Run the upscaler recipe to the end of its budget; as train_codec."""
    build = partial(UpscalerRecipe, config)
    codec = codec_of_weights(config.codec)
    metadata = {BLOCKS_KEY: str(config.blocks), CODEC_KEY: codec}
    file = UPSCALER_FILE if config.perceptual is None else PERCEPTUAL_FILE
    return _run(build, loop_config, device, on_step, "upscaler.", file, metadata)


def train_enlarger(
    config: EnlargerRecipeConfig,
    loop_config: LoopConfig,
    device: torch.device,
    on_step: OnStep | None = None,
) -> Path:
    """Run the recipe of a 4x network of pixels to the end of its budget; as train_codec."""
    build = partial(EnlargerRecipe, config)
    metadata = {NETWORK_KEY: config.network}
    return _run(build, loop_config, device, on_step, "upscaler.", ENLARGER_FILE, metadata)


def _run(
    build: Callable[[torch.device], Recipe],
    loop_config: LoopConfig,
    device: torch.device,
    on_step: OnStep | None,
    prefix: str,
    file_name: str,
    metadata: dict[str, str],
) -> Path:
    target = loop_config.output / file_name
    with joined_group(device) as group:
        recipe = build(group.device)
        # Asked of its own GPU, which others of the group have not touched.
        config = replace(
            loop_config, precision=resolve_precision(loop_config.precision, group.device)
        )
        state = TrainingLoop(recipe, config, group, on_step).run()
        if group.rank == 0:
            write_tensors(target, _float_weights(state, prefix), metadata)
    return target


def _float_weights(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """What the objective has under this prefix, without it, ready to be stored."""
    return {
        name.removeprefix(prefix): tensor.detach().cpu().contiguous()
        for name, tensor in state.items()
        if name.startswith(prefix)
    }


def export_run(run: Path, target: Path) -> dict[str, int]:
    """Write the files to be shipped from a finished run.

    Args:
        run: folder of a finished run.
        target: a file for a run of bmshj2018-hyperprior, see export_checkpoint; else folder
            of a codec's weights. A codec run writes entropy, encoder,
            decoder and training files there, or only those of the part that it trained;
            an upscaler run writes latent.safetensors or, if it was perceptual,
            latent-perceptual.safetensors, a run of a network of pixels enlarger.safetensors.

    Returns:
        The proof of exactness: for each integer layer written the largest |sum| that it
        can reach, below 2^53.

    Raises:
        TrainingError: the folder holds no finished run, or one that diverged.
        FileAccessError: the target cannot be written.
    """
    file, settings = find_finished(run)
    if file.name == ENLARGER_FILE:
        enlarger = load_trainable(settings[NETWORK_KEY], file)
        make_folder(target)
        export_enlarger(folded(enlarger), settings[NETWORK_KEY], target / ENLARGER_FILE)
        return {}
    if file.name == HYPERPRIOR_FILE:
        hyperprior = ScaleHyperprior(*channels_at(int(settings["quality"])))
        load_hyperprior(hyperprior, file)
        make_folder(target.parent)
        export_checkpoint(hyperprior, target)
        return {}
    if file.name == GAINED_FILE:
        gained = TrainableGainedHyperprior()
        load_gained(gained, file)
        make_folder(target)
        return export_gained(gained, target)
    if file.name in _SHIPPED_UPSCALERS:
        codec = settings[CODEC_KEY]
        upscaler = new_upscaler(codec, int(settings[BLOCKS_KEY]))
        load_upscaler(upscaler, file)
        make_folder(target)
        export_upscaler(upscaler, codec, target / _SHIPPED_UPSCALERS[file.name])
        return {}
    network = TrainableCdsr1()
    load_network(network, file)
    make_folder(target)
    return export_codec(network, target, settings[PART_KEY])


def average_runs(runs: Sequence[Path], output: Path) -> Path:
    """The mean of the weights of finished runs, as a finished run of its own.

    Runs that began with the same weights lie in one valley of the loss: their mean is
    free of the noise that each of them ended with. That of `latent` and of what was trained
    on from it as `latent-perceptual` is between the two, and counts as the latter.

    Args:
        runs: folders of finished runs of one kind, or of the two upscalers of the latent; one
            that is named twice counts twice.
        output: folder for the mean.

    Returns:
        The file of weights, as a run leaves it.

    Raises:
        TrainingError: a run is not finished, or they are of different networks.
        OutputExistsError: the output is the folder of one of the runs.
        FileAccessError: the output cannot be written.

    Source: Izmailov et al. 2018 (stochastic weight averaging), arXiv:1803.05407; Wang et al.
    2018 (network interpolation), arXiv:1809.00219.
    """
    finished = [find_finished(run) for run in runs]
    if output.resolve() in {run.resolve() for run in runs}:
        raise OutputExistsError(
            f"{output}: one of the runs, whose weights would be replaced. hint: name another folder"
        )
    kinds = {(file.name, tuple(settings.items())) for file, settings in finished}
    if {name for name, _ in kinds} == _SHIPPED_UPSCALERS.keys():
        kinds = {(PERCEPTUAL_FILE, settings) for _, settings in kinds}
    states = [load_file(file) for file, _ in finished]
    shapes = {tuple((name, s[name].shape) for name in sorted(s)) for s in states}
    if len(kinds) != 1 or len(shapes) != 1:
        raise TrainingError(
            "the runs trained different networks. hint: average runs of one recipe and setting"
        )
    ((file_name, settings),) = kinds
    mean = {
        # Integers are constants of the network, or count batches, which nothing rests on.
        name: torch.stack([s[name] for s in states]).mean(0) if t.is_floating_point() else t
        for name, t in states[0].items()
    }
    make_folder(output)
    target = output / file_name
    write_tensors(target, mean, dict(settings))
    return target
