"""cdsrcodec train: the recipes behind the shipped weights, and their export."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar, Unpack

import click

from cdsrcodec.cli import options
from cdsrcodec.cli.failures import debug_option
from cdsrcodec.cli.groups import DeferredCommand, LazyGroup
from cdsrcodec.models.registry import CODECS, codec_named

if TYPE_CHECKING:
    from cdsrcodec.training.loop import LoopConfig, StepReport

Command = TypeVar("Command", bound=Callable[..., Any])
PLAIN_LINE_STEPS = 50  # between lines where there is no terminal
SMOOTHING = 0.98  # of the running means that are displayed


def finite(_ctx: click.Context, _param: click.Parameter, value: float | None) -> float | None:
    """Callback that refuses "nan" and "inf": they pass click.FloatRange and never end a run."""
    if value is not None and not math.isfinite(value):
        raise click.BadParameter(f"{value} is not a finite number")
    return value


def divisible_by_16(_ctx: click.Context, _param: click.Parameter, value: int) -> int:
    """Callback for the side of a patch: a latent has a position for 16 pixels."""
    if value % 16:
        raise click.BadParameter("must be divisible by 16")
    return value


def codec_weights(ctx: click.Context, param: click.Parameter, value: str | None) -> Path | None:
    """Callback: the weights of a codec by its name, or a file or folder of them."""
    if value is None:
        return None
    if value not in CODECS:
        file = options.FILE.convert(value, param, ctx)
        assert isinstance(file, Path)
        return file
    if CODECS[value].folder is None:
        raise click.BadParameter(f"{value} has a network for each quality, not one for all")
    return codec_named(value).folder


SUMMARIES = {
    "codec": "Train a codec on the pictures of the folder DATA.",
    "enlarger": "Train a 4x network of pixels on the large pictures of the folder DATA.",
    "upscaler": "Train a 4x decoder on the large pictures of the folder DATA.",
}


@click.group(
    cls=LazyGroup,
    commands=[
        DeferredCommand(name, f"cdsrcodec.cli.train_{name}", summary)
        for name, summary in SUMMARIES.items()
    ],
)
def train() -> None:
    """Train the networks and export them.

    A run is resumed by giving the same command again. Several processes train
    together under torchrun: torchrun --nproc-per-node 2 -m -- cdsrcodec train codec ...
    """


class LoopOptions(TypedDict):
    """What run_options hands to a command for the loop."""

    output: Path
    minutes: float | None
    steps: int | None
    learning_rate: float
    warmup_steps: int
    ema_decay: float
    precision: str
    checkpoint_minutes: float


def run_options(command: Command) -> Command:
    """The options that every run has, in the order of --help."""
    for option in reversed(
        [
            click.argument("data", metavar="DATA", type=options.FILE),
            click.option(
                "-o", "--output", type=options.FILE, required=True,
                help="Folder of the run: checkpoint, log.csv and the trained weights.",
            ),
            click.option(
                "--minutes", type=click.FloatRange(min=0, min_open=True), callback=finite,
                help="Budget in wall-clock time; the learning rate decays to zero at its end.",
            ),
            click.option(
                "--steps", type=click.IntRange(min=1),
                help="Budget in steps instead; makes a run reproducible.",
            ),
            click.option(
                "--learning-rate", type=click.FloatRange(min=0, min_open=True), callback=finite,
                default=2e-4, show_default=True,
            ),
            click.option(
                "--warmup", "warmup_steps", type=click.IntRange(min=0), default=200,
                show_default=True, help="Steps of linear warm-up.",
            ),
            click.option(
                "--ema", "ema_decay", type=click.FloatRange(0, 1, max_open=True), callback=finite,
                default=0.999, show_default=True,
                help="Decay of the averaged weights, which are the ones exported.",
            ),
            click.option(
                "--precision", type=click.Choice(["auto", "fp32", "bf16"]), default="auto",
                show_default=True, help="auto is bf16 on a GPU that has it.",
            ),
            click.option(
                "--checkpoint-minutes", type=click.FloatRange(min=0), callback=finite,
                default=10.0, show_default=True,
            ),
            click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=0, show_default=True),
            options.device_option,
            debug_option,
        ]
    ):  # fmt: skip
        command = option(command)
    return command


def loop_config(seed: int, **settings: Unpack[LoopOptions]) -> LoopConfig:
    """LoopConfig of the run options."""
    from cdsrcodec.training.loop import LoopConfig

    if (settings["minutes"] is None) == (settings["steps"] is None):
        raise click.UsageError("give either --minutes or --steps")
    return LoopConfig(seed=seed, **settings)


def exponent_above(bound: int) -> str:
    """An exponent of two, with two decimals, that takes it above a bound, by less than 0.01."""
    return f"{math.ceil(100 * math.log2(bound + 1)) / 100:.2f}"


@train.command()
@click.argument("run", metavar="RUN", type=options.FILE)
@click.argument("target", metavar="TARGET", type=options.FILE)
@debug_option
def export(run: Path, target: Path) -> None:
    """Write the files to be shipped from the finished run RUN into the folder TARGET.

    Of bmshj2018-hyperprior, TARGET is a file, .pth.tar or .safetensors: a checkpoint for
    `cdsrcodec models import`.

    Prints, for each integer layer, the largest sum that it can reach: below 2^53
    the layer is exact on every machine.
    """
    from cdsrcodec.training.runs import export_run

    for layer, bound in export_run(run, target).items():
        click.echo(f"{layer}: sums below 2^{exponent_above(bound)}, exact below 2^53")
    click.echo(f"{target}: written")


@train.command()
@click.argument("weights", metavar="FOLDER", type=options.FILE)
@click.argument("photographs", metavar="PHOTOS", type=options.FILE)
@click.option("-o", "--output", type=options.FILE, required=True, help="Entropy part to write.")
@debug_option
def calibrate(weights: Path, photographs: Path, output: Path) -> None:
    """Make an entropy part of cdsr1 that is exact in float32, twice as fast.

    FOLDER holds an exported codec, PHOTOS pictures like those that are to be coded. Files that
    are coded with the result have another tag than those of FOLDER.

    Prints, for each layer, the largest sum that it can reach: below 2^24 it runs in float32.
    """
    from cdsrcodec.training.calibration import calibrate as write_calibrated

    for layer, bound in write_calibrated(weights, photographs, output).items():
        click.echo(f"{layer}: sums below 2^{exponent_above(bound)}")
    click.echo(f"{output}: written")


@train.command()
@click.argument("weights", metavar="FOLDER", type=options.FILE)
@click.argument("photographs", metavar="PHOTOS", type=options.FILE)
@click.option("-o", "--output", type=options.FILE, required=True, help="Entropy part to write.")
@debug_option
def tables(weights: Path, photographs: Path, output: Path) -> None:
    """Make an entropy part of cdsr1 whose tables are counted in photographs.

    FOLDER holds an exported codec, PHOTOS pictures like those that are to be coded. Files that
    are coded with the result have another tag than those of FOLDER.

    Prints what the counted integers cost by the tables of FOLDER, and by the new ones.
    """
    from cdsrcodec.training.frequencies import count_frequencies

    counted = count_frequencies(weights, photographs, output)
    change = 100 * (counted.bits / counted.bits_before - 1)
    before_bytes, after_bytes = counted.bits_before / 8, counted.bits / 8
    click.echo(f"latents: {before_bytes:.0f} bytes before, {after_bytes:.0f} now ({change:+.2f} %)")
    click.echo(f"{output}: written")


@train.command()
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=options.FILE)
@click.option("-o", "--output", type=options.FILE, required=True, help="Folder for the mean.")
@debug_option
def average(runs: tuple[Path, ...], output: Path) -> None:
    """Average the weights of the finished runs RUN..., to be exported like one.

    The runs must have trained the same part, from the same start or from each other; one that
    is named twice counts twice. latent and what --perceptual made of it can be mixed.
    """
    from cdsrcodec.training.runs import average_runs

    click.echo(f"{average_runs(runs, output)}: written")


def announce(weights: Path, target: str = "FOLDER") -> None:
    """The last line of a run, once however many processes trained.

    Args:
        weights: of the run.
        target: what `train export` writes.
    """
    from cdsrcodec.training.distributed import is_first_process

    if is_first_process():
        run = weights.parent
        click.echo(f"{weights}: trained. Export with: cdsrcodec train export {run} {target}")


@contextmanager
def display(title: str) -> Iterator[Callable[[StepReport], None]]:
    """A progress bar with running means on a terminal, plain lines elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from cdsrcodec.training.distributed import is_first_process

    console = Console(stderr=True)
    means: dict[str, float] = {}

    def running(report: StepReport) -> str:
        """The running means as text, with those of this step."""
        for name, value in report.metrics.items():
            if not math.isfinite(value):
                continue  # a skipped step; a mean would never forget it
            # The mean of the steps so far, until there are enough of them.
            keep = min(SMOOTHING, 1 - 1 / report.step)
            means[name] = keep * means.get(name, value) + (1 - keep) * value
        return " ".join(f"{name} {value:.4g}" for name, value in means.items())

    with Progress(
        TextColumn(title),
        BarColumn(),
        TextColumn("{task.percentage:5.1f} %  step {task.fields[step]}  {task.fields[means]}"),
        TimeElapsedColumn(),
        console=console,
        disable=not (console.is_interactive and is_first_process()),
    ) as progress:
        task = progress.add_task(title, total=1.0, step=0, means="")

        def on_step(report: StepReport) -> None:
            """Move the bar, or print a line now and then."""
            text = running(report)
            progress.update(task, completed=report.progress, step=report.step, means=text)
            if not console.is_interactive and report.step % PLAIN_LINE_STEPS == 1:
                click.echo(
                    f"{title}: {100 * report.progress:.1f} %, step {report.step}, {text}", err=True
                )

        yield on_step
        progress.update(task, completed=1.0)
