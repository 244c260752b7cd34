"""cdsrcodec train codec: the codecs of the registry."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict, Unpack

import click
from click.core import ParameterSource

from cdsrcodec.cli import options
from cdsrcodec.cli.train import (
    LoopOptions,
    announce,
    display,
    divisible_by_16,
    finite,
    loop_config,
    run_options,
)
from cdsrcodec.models.registry import (
    BMSHJ2018_HYPERPRIOR,
    BMSHJ2018_HYPERPRIOR_GAIN,
    CDSR1,
    CODECS,
    DEFAULT_METRIC,
    METRICS,
    codec_named,
)

MS_SSIM_MIN_PATCH_PX = 176  # halved four times it holds a window of 11 pixels
ONLY_FOR = {
    "quality": BMSHJ2018_HYPERPRIOR,
    "high_rate_bias": CDSR1,
    "part": CDSR1,
    "from_zero": CDSR1,
}
"""Options of `train codec` that belong to one codec."""


class RecipeOptions(TypedDict):
    """What the recipes of all codecs take."""

    data: Path
    patch_px: int
    batch: int
    factors: tuple[int, ...]
    seed: int


@click.command()
@run_options
@click.option(
    "--codec", "name", type=click.Choice(list(CODECS)), default=CDSR1, show_default=True,
    help=f"What to train: one network for all qualities, or, of {BMSHJ2018_HYPERPRIOR}, for one.",
)  # fmt: skip
@click.option(
    "-q", "--quality", type=click.IntRange(1, 8), help=f"Of {BMSHJ2018_HYPERPRIOR}, which needs it."
)
@click.option(
    "--metric", type=click.Choice(METRICS), default=METRICS[0], show_default=True,
    help="The distortion that is weighed against the rate. ms-ssim needs patches of at least "
    f"{MS_SSIM_MIN_PATCH_PX} px.",
)  # fmt: skip
@click.option(
    "--patch", "patch_px", type=click.IntRange(min=64), callback=divisible_by_16,
    default=192, show_default=True,
    help="Side of a patch in pixels, divisible by 16.",
)  # fmt: skip
@click.option("--batch", type=click.IntRange(min=1), default=8, show_default=True)
@click.option(
    "--factor", "factors", type=click.IntRange(min=1), multiple=True, default=(1, 1, 2),
    show_default=True, help="Train on pictures reduced by it; repeat to mix.",
)  # fmt: skip
@click.option(
    "--high-rate-bias", type=click.FloatRange(min=0, min_open=True), callback=finite, default=1.0,
    show_default=True,
    help="Exponent of the draw of qualities of cdsr1; below 1 favours high ones.",
)  # fmt: skip
@click.option(
    "--part", type=click.Choice(["all", "transforms", "decoder"]), default="all", show_default=True,
    help="Of cdsr1; transforms: all but the entropy part; decoder: g_s alone. Files stay "
    "readable with both.",
)  # fmt: skip
@click.option(
    "--start", type=options.FILE, help="Weights to start from: a codec.safetensors, or a "
    "folder of exported files. Default: the shipped ones. Of another codec than cdsr1: the weights "
    "of a run or a checkpoint; default: none.",
)  # fmt: skip
@click.option("--from-zero", is_flag=True, help="Start cdsr1 from random weights instead.")
@click.pass_context
def codec(
    context: click.Context,
    data: Path,
    device: str,
    seed: int,
    name: str,
    quality: int | None,
    metric: str,
    patch_px: int,
    batch: int,
    factors: tuple[int, ...],
    high_rate_bias: float,
    part: str,
    start: Path | None,
    from_zero: bool,
    **loop: Unpack[LoopOptions],
) -> None:
    """Train a codec on the pictures of the folder DATA."""
    from cdsrcodec.codec import resolve_device
    from cdsrcodec.training.codec_recipe import CodecRecipeConfig
    from cdsrcodec.training.gained_recipe import GainedRecipeConfig
    from cdsrcodec.training.hyperprior_recipe import HyperpriorRecipeConfig
    from cdsrcodec.training.runs import train_codec

    check_codec_options(context, name)
    if from_zero and start is not None:
        raise click.UsageError("--from-zero and --start exclude each other")
    shared: RecipeOptions = {
        "data": data,
        "patch_px": patch_px,
        "batch": batch,
        "factors": factors,
        "seed": seed,
    }
    config: CodecRecipeConfig | HyperpriorRecipeConfig | GainedRecipeConfig
    if name == BMSHJ2018_HYPERPRIOR_GAIN:
        config = GainedRecipeConfig(**shared, start=start)
    elif quality is not None:
        config = HyperpriorRecipeConfig(**shared, quality=quality, metric=metric, start=start)
    else:
        start = None if from_zero else start or codec_named(CDSR1).folder
        config = CodecRecipeConfig(
            **shared, metric=metric, high_rate_bias=high_rate_bias, part=part, start=start
        )
    with display("codec") as on_step:
        weights = train_codec(config, loop_config(seed, **loop), resolve_device(device), on_step)
    announce(weights, "FOLDER" if quality is None else "FILE")


def check_codec_options(context: click.Context, codec: str) -> None:
    """Refuse options of `train codec` that belong to another codec, or do not go together."""
    for option, owner in ONLY_FOR.items():
        is_given = context.get_parameter_source(option) is not ParameterSource.DEFAULT
        if is_given and owner != codec:
            raise click.UsageError(f"--{option.replace('_', '-')} belongs to --codec {owner}")
    if codec == BMSHJ2018_HYPERPRIOR and context.params["quality"] is None:
        raise click.UsageError(f"{codec} needs --quality: it has a network for each")
    patch_px, metric = context.params["patch_px"], context.params["metric"]
    if codec == BMSHJ2018_HYPERPRIOR_GAIN and metric != DEFAULT_METRIC:
        raise click.UsageError(f"{codec} is not trained for --metric {metric}")
    if metric == "ms-ssim" and patch_px < MS_SSIM_MIN_PATCH_PX:
        raise click.BadParameter(
            f"must be at least {MS_SSIM_MIN_PATCH_PX} with --metric ms-ssim", param_hint="--patch"
        )
