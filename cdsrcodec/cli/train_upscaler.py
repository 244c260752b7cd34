"""cdsrcodec train upscaler: the 4x decoders of the latent."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Unpack

import click

from cdsrcodec.cli import options
from cdsrcodec.cli.train import (
    LoopOptions,
    announce,
    codec_weights,
    display,
    divisible_by_16,
    loop_config,
    run_options,
)
from cdsrcodec.models.registry import CDSR1
from cdsrcodec.sr.registry import upscaler_for, weights_of


def finite_weights(
    _ctx: click.Context, _param: click.Parameter, value: tuple[float, ...] | None
) -> tuple[float, ...] | None:
    """Callback that refuses "nan" and "inf" among several numbers."""
    if value is not None and not all(math.isfinite(weight) for weight in value):
        raise click.BadParameter("the weights must be finite numbers")
    return value


@click.command()
@run_options
@click.option(
    "--patch", "patch_px", type=click.IntRange(min=16), callback=divisible_by_16,
    default=96, show_default=True,
    help="Side of the low-resolution patch in pixels, divisible by 16.",
)  # fmt: skip
@click.option("--batch", type=click.IntRange(min=1), default=4, show_default=True)
@click.option(
    "--blocks", type=click.IntRange(min=0), default=6, show_default=True,
    help="Residual blocks of the trunk.",
)  # fmt: skip
@click.option(
    "--codec", "codec", metavar="NAME|FILE", default=CDSR1, show_default=True,
    callback=codec_weights,
    help="The frozen codec, cdsr1 or bmshj2018-hyperprior-gain: its name, what a run of it left, "
    "or a folder of exported files.",
)  # fmt: skip
@click.option(
    "--start", type=options.FILE, help="Upscaler weights to train on from; of another codec's, the "
    "trunk. Default: none; with --perceptual those of the shipped latent.",
)  # fmt: skip
@click.option(
    "--perceptual", is_flag=True,
    help="Train latent-perceptual: losses of pixels, VGG features and a discriminator, as ESRGAN.",
)  # fmt: skip
@click.option(
    "--loss-weights", callback=finite_weights, metavar="L1 VGG GAN",
    type=(click.FloatRange(min=0), click.FloatRange(min=0), click.FloatRange(0, min_open=True)),
    help="Of --perceptual. With 0 for VGG its package is not needed.  [default: 0.01 1 0.005]",
)  # fmt: skip
def upscaler(
    data: Path,
    device: str,
    seed: int,
    patch_px: int,
    batch: int,
    blocks: int,
    codec: Path,
    start: Path | None,
    perceptual: bool,
    loss_weights: tuple[float, float, float] | None,
    **loop: Unpack[LoopOptions],
) -> None:
    """Train a 4x decoder on the large pictures of the folder DATA.

    It is latent, for the highest PSNR, or with --perceptual latent-perceptual, which is
    sharper and has a lower PSNR.
    """
    from cdsrcodec.codec import resolve_device
    from cdsrcodec.training.adversarial import LossWeights
    from cdsrcodec.training.runs import train_upscaler
    from cdsrcodec.training.upscaler_recipe import UpscalerRecipeConfig

    if loss_weights is not None and not perceptual:
        raise click.UsageError("--loss-weights belong to --perceptual")
    if perceptual and start is None:
        start = weights_of(upscaler_for("latent", CDSR1))
    config = UpscalerRecipeConfig(
        data=data,
        codec=codec,
        patch_px=patch_px,
        batch=batch,
        blocks=blocks,
        seed=seed,
        start=start,
        perceptual=LossWeights(*(loss_weights or ())) if perceptual else None,
    )
    with display("upscaler") as on_step:
        weights = train_upscaler(config, loop_config(seed, **loop), resolve_device(device), on_step)
    announce(weights)
