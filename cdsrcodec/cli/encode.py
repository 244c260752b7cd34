"""cdsrcodec encode: pictures to .cdsr files."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal

import click

import cdsrcodec
from cdsrcodec.cli import batch, options
from cdsrcodec.cli.batch_options import Settings, shared_options
from cdsrcodec.cli.failures import debug_option
from cdsrcodec.cli.plan import PICTURES
from cdsrcodec.cli.steps import steps_display
from cdsrcodec.imageio.suffixes import check_stream_name
from cdsrcodec.models.registry import MAX_EFFORT, check_settings

if TYPE_CHECKING:
    from cdsrcodec import EncodeReport


@click.command()
@click.argument("names", metavar=batch.METAVAR, nargs=-1, type=options.NAME)
@options.quality_option
@click.option(
    "--target-size", "target_size_bytes", type=options.parse_size, metavar="BYTES",
    help="The highest quality that fits, as 15000, 20kB or 1.5MiB.",
)  # fmt: skip
@click.option(
    "--target-bpp", type=options.parse_positive, metavar="BPP",
    help="The same, in bits per pixel.",
)  # fmt: skip
@click.option(
    "--target-psnr", "target_psnr_db", type=options.parse_positive, metavar="DB",
    help="The smallest file whose picture has at least this PSNR (RGB).",
)  # fmt: skip
@options.codec_option
@options.metric_option
@click.option(
    "--effort", type=click.IntRange(0, MAX_EFFORT), default=0, show_default=True,
    help="More makes a better file and takes longer.",
)  # fmt: skip
@click.option("--psnr", "measure_psnr", is_flag=True, help="Decode OUT and measure its PSNR (RGB).")
@click.option(
    "--downscale", type=click.Choice([1, 4]), default=1, show_default=True,
    help="4: code a quarter of each side; decode --sr 4 gives the size of IN back.",
)  # fmt: skip
@options.strip_option
@options.device_option
@options.max_memory_option
@options.max_pixels_option
@shared_options
@debug_option
@click.pass_context
def encode(
    ctx: click.Context,
    names: tuple[str, ...],
    quality: float | None,
    target_size_bytes: int | None,
    target_bpp: float | None,
    target_psnr_db: float | None,
    codec: str,
    metric: str,
    effort: int,
    measure_psnr: bool,
    downscale: Literal[1, 4],
    strip: frozenset[str],
    device: str,
    max_memory_bytes: int | None,
    max_pixels: int,
    settings: Settings,
) -> None:
    """Encode the picture IN to OUT (.cdsr), or each IN to a file in DIR.

    IN is any picture that Pillow reads: it is taken upright, as 8-bit sRGB. Alpha is
    coded losslessly; EXIF, XMP, ICC profile and resolution are kept.
    As IN or OUT, - is standard input or output.
    """
    goals = (quality, target_size_bytes, target_bpp, target_psnr_db)
    if sum(goal is not None for goal in goals) > 1:
        raise click.UsageError("give one of -q, --target-size, --target-bpp and --target-psnr")
    try:
        check_settings(codec, quality=quality, metric=metric, effort=effort)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    convert = partial(
        cdsrcodec.encode_file,
        quality=quality,
        target_size_bytes=target_size_bytes,
        target_bpp=target_bpp,
        target_psnr_db=target_psnr_db,
        codec=codec,
        metric=metric,
        effort=effort,
        device=device,
        downscale=downscale,
        strip=strip,
        max_memory_bytes=max_memory_bytes,
        overwrite=settings.overwrite,
        measure_psnr=measure_psnr,
        max_pixels=max_pixels,
        keep_attributes=settings.folder is not None,
    )
    conversion = batch.Conversion(
        convert,
        partial(_describe, tells_quality=any(goal is not None for goal in goals[1:])),
        "encoded",
        device,
        PICTURES,
        "cdsr",
        check_stream_name,
    )
    is_shown = effort > 0 and batch.shows_steps(settings)
    with steps_display("refining", is_shown=is_shown) as on_step:
        ctx.exit(batch.run(batch.with_steps(conversion, on_step), names, settings))


def _describe(report: EncodeReport, *, tells_quality: bool) -> str:
    found = f"quality {report.quality:g}, " if tells_quality else ""
    psnr = "" if report.psnr_rgb_db is None else f"PSNR {report.psnr_rgb_db:.2f} dB, "
    return (
        f"{report.width_px}x{report.height_px} px, {report.stream_bytes} bytes, "
        f"{report.bpp:.3f} bpp, {found}{psnr}{report.elapsed_s:.2f} s"
    )
