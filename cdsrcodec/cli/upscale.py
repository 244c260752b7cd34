"""cdsrcodec upscale: a picture four times larger, without coding it."""

from __future__ import annotations

from pathlib import Path

import click

import cdsrcodec
from cdsrcodec.cli import options


@click.command()
@click.argument("source", metavar="IN", type=options.FILE)
@click.argument("target", metavar="OUT", type=options.FILE)
@options.pixel_upscaler_option
@options.weights_option
@options.device_option
@options.overwrite_option
@options.verbose_option
@options.debug_option
def upscale(
    source: Path,
    target: Path,
    upscaler: str,
    upscaler_weights: Path | None,
    device: str,
    overwrite: bool,
    verbose: bool,
) -> None:
    """Enlarge the picture IN four times each way to the picture OUT.

    For comparison with decode --sr 4: the same upscalers on a picture that was
    not coded. The extension of OUT chooses the format, as of decode.
    """
    if upscaler_weights is not None and upscaler != "esrgan":
        raise click.UsageError("--weights belongs to --upscaler esrgan")
    report = cdsrcodec.upscale_file(
        source,
        target,
        upscaler=upscaler,
        upscaler_weights=upscaler_weights,
        device=device,
        overwrite=overwrite,
    )
    if verbose:
        options.print_device(device, report.device)
    click.echo(
        f"{target}: {report.width_px}x{report.height_px} px, {report.elapsed_s:.2f} s", err=True
    )
