"""cdsrcodec train enlarger: the 4x networks of pixels."""

from __future__ import annotations

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
    finite,
    loop_config,
    run_options,
)
from cdsrcodec.sr.registry import UPSCALERS

# In the order of the registry, which does not import torch.
NETWORKS = list(dict.fromkeys(entry.network for entry in UPSCALERS if entry.network))


@click.command()
@run_options
@click.option(
    "--network", type=click.Choice(NETWORKS), default=NETWORKS[0], show_default=True,
    help="What to train: EDSR, WDSR-B, or SRResNet, the generator of SRGAN.",
)  # fmt: skip
@click.option(
    "--codec", "codec", metavar="NAME|FILE", callback=codec_weights,
    help="Enlarge what this frozen codec makes of the pictures, at all of its qualities. "
    "Default: clean pictures.",
)  # fmt: skip
@click.option(
    "--patch", "patch_px", type=click.IntRange(min=16), callback=divisible_by_16,
    default=48, show_default=True,
    help="Side of the low-resolution patch in pixels, divisible by 16.",
)  # fmt: skip
@click.option("--batch", type=click.IntRange(min=1), default=4, show_default=True)
@click.option(
    "--adversarial", "adversarial_weight", type=click.FloatRange(min=0), callback=finite,
    default=0.0, show_default=True,
    help="Weight of SRGAN's adversarial loss; 0 trains for PSNR.",
)  # fmt: skip
@click.option(
    "--content", type=click.Choice(["pixels", "vgg"]),
    help="What the adversarial loss stands beside: L1 of pixels, or features of VGG-16.  "
    "[default: pixels]",
)  # fmt: skip
@click.option(
    "--start", type=options.FILE,
    help="The enlarger.safetensors of a run, or of this package, to train on from.",
)  # fmt: skip
def enlarger(
    data: Path,
    device: str,
    seed: int,
    network: str,
    codec: Path | None,
    patch_px: int,
    batch: int,
    adversarial_weight: float,
    content: str | None,
    start: Path | None,
    **loop: Unpack[LoopOptions],
) -> None:
    """Train a 4x network of pixels on the large pictures of the folder DATA."""
    from cdsrcodec.codec import resolve_device
    from cdsrcodec.training.enlarger_recipe import EnlargerRecipeConfig
    from cdsrcodec.training.runs import train_enlarger

    if content is not None and not adversarial_weight:
        raise click.UsageError("--content belongs to --adversarial above 0")
    config = EnlargerRecipeConfig(
        data=data,
        network=network,
        codec=codec,
        patch_px=patch_px,
        batch=batch,
        adversarial_weight=adversarial_weight,
        content=content or "pixels",
        seed=seed,
        start=start,
    )
    with display(network) as on_step:
        weights = train_enlarger(config, loop_config(seed, **loop), resolve_device(device), on_step)
    announce(weights)
