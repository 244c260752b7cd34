"""cdsrcodec train: options, runs of seconds, a kill, the progress display, the export."""

from __future__ import annotations

import csv
import io
import math
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import Result
from PIL import Image
from safetensors.torch import load_file

from cdsrcodec.cli.train import SMOOTHING, display, exponent_above
from cdsrcodec.models.integer_layers import INPUTS, LAYERS
from cdsrcodec.models.registry import codec_named
from cdsrcodec.training.adversarial import LossWeights
from cdsrcodec.training.codec_recipe import CodecRecipeConfig
from cdsrcodec.training.gained_recipe import GainedRecipeConfig
from cdsrcodec.training.hyperprior_recipe import HyperpriorRecipeConfig
from cdsrcodec.training.loop import LoopConfig, StepReport
from cdsrcodec.training.upscaler_recipe import UpscalerRecipeConfig

Run = Callable[..., Result]
Fails = Callable[..., str]

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = codec_named("cdsr1").folder
HYPERPRIOR = "bmshj2018-hyperprior"
GAINED = f"{HYPERPRIOR}-gain"
QUICK = ("--device", "cpu", "--precision", "fp32", "--warmup", "0", "--batch", "1")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a picture of 150x130 px."""
    folder = tmp_path_factory.mktemp("pictures")
    rows, columns = np.mgrid[0:130, 0:150]
    waves = [128 + 90 * np.sin(rows / 9 + columns * k / 30) for k in (1, 2, 3)]
    Image.fromarray(np.stack(waves, -1).astype(np.uint8)).save(folder / "x.png")
    return folder


@pytest.fixture
def run_folder(tmp_path: Path) -> Iterator[Path]:
    """Where a run goes; removed, because a checkpoint of a codec takes 100 MB or more."""
    folder = tmp_path / "run"
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Two gain nothing on patches of 64 px."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


Config = CodecRecipeConfig | HyperpriorRecipeConfig | GainedRecipeConfig | UpscalerRecipeConfig


class Recorder:
    """Stands for train_codec and train_upscaler: keeps what it is called with."""

    def __init__(self) -> None:
        self.config: Config
        self.loop: LoopConfig
        self.device: torch.device

    def __call__(
        self,
        config: Config,
        loop: LoopConfig,
        device: torch.device,
        on_step: Callable[[StepReport], None],
    ) -> Path:
        self.config, self.loop, self.device = config, loop, device
        return loop.output / "weights"


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    recorder = Recorder()
    monkeypatch.setattr("cdsrcodec.training.runs.train_codec", recorder)
    monkeypatch.setattr("cdsrcodec.training.runs.train_upscaler", recorder)
    return recorder


def report(step: int, progress: float = 0.5, **metrics: float) -> StepReport:
    return StepReport(step, progress, 1.0, 1e-4, metrics)


def test_codec_defaults_are_the_documented_ones(run: Run, recorder: Recorder) -> None:
    result = run("train", "codec", "photos", "-o", "out", "--minutes", "90", "--device", "cpu")
    assert result.exit_code == 0
    assert recorder.config == CodecRecipeConfig(Path("photos"), start=SHIPPED)
    assert recorder.loop == LoopConfig(Path("out"), minutes=90.0, precision="auto")
    assert recorder.device == torch.device("cpu")
    lines = "out/weights: trained. Export with: cdsrcodec train export out FOLDER\n"
    assert result.stdout == lines


def test_every_codec_option_reaches_the_recipe_or_the_loop(run: Run, recorder: Recorder) -> None:
    # fmt: off
    run(
        "train", "codec", "photos", "--output", "out", "--steps", "7", "--learning-rate", "3e-4",
        "--warmup", "5", "--ema", "0.9", "--precision", "bf16", "--checkpoint-minutes", "2.5",
        "--seed", "4", "--device", "cpu", "--patch", "128", "--batch", "3", "--factor", "2",
        "--factor", "4", "--high-rate-bias", "0.7", "--part", "decoder", "--start", "w",
        "--codec", "cdsr1", "--metric", "mse",
    )
    # fmt: on
    assert recorder.config == CodecRecipeConfig(
        Path("photos"), 128, 3, (2, 4), 0.7, "decoder", Path("w"), 4
    )
    assert recorder.loop == LoopConfig(Path("out"), None, 7, 3e-4, 5, 0.9, 2.5, "bf16", 4)


def test_the_studies_codec_has_a_recipe_of_its_own(run: Run, recorder: Recorder) -> None:
    shared = ("train", "codec", "photos", "-o", "out", "--steps", "7", "--codec", HYPERPRIOR)
    result = run(*shared, "-q", "6")
    assert recorder.config == HyperpriorRecipeConfig(Path("photos"), 6)
    assert result.stdout == ("out/weights: trained. Export with: cdsrcodec train export out FILE\n")
    # fmt: off
    run(
        *shared, "--quality", "1", "--metric", "ms-ssim", "--patch", "176", "--batch", "3",
        "--factor", "4", "--start", "w", "--seed", "5",
    )
    # fmt: on
    assert recorder.config == HyperpriorRecipeConfig(
        Path("photos"), 1, "ms-ssim", 176, 3, (4,), Path("w"), 5
    )
    assert recorder.loop.seed == 5


def test_the_gained_codec_has_a_recipe_of_its_own(run: Run, recorder: Recorder) -> None:
    shared = ("train", "codec", "photos", "-o", "out", "--steps", "7", "--codec", GAINED)
    result = run(*shared)
    assert recorder.config == GainedRecipeConfig(Path("photos"))
    assert "cdsrcodec train export out FOLDER" in result.stdout
    run(*shared, "--patch", "64", "--batch", "3", "--factor", "4", "--start", "w", "--seed", "5")
    assert recorder.config == GainedRecipeConfig(Path("photos"), 64, 3, (4,), Path("w"), 5)


def test_cdsr1_can_be_trained_for_ms_ssim(run: Run, recorder: Recorder) -> None:
    run("train", "codec", "photos", "-o", "out", "--steps", "7", "--metric", "ms-ssim")
    assert recorder.config == CodecRecipeConfig(Path("photos"), start=SHIPPED, metric="ms-ssim")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("-q", "4"), f"--quality belongs to --codec {HYPERPRIOR}. hint: "),
        (("--codec", HYPERPRIOR), f"{HYPERPRIOR} needs --quality: it has a network for each. hint"),
        (("--codec", HYPERPRIOR, "-q", "9"), "'-q' / '--quality': 9 is not in the range 1<=x<=8"),
        (("--codec", HYPERPRIOR, "-q", "1", "--part", "all"), "--part belongs to --codec cdsr1."),
        (("--codec", HYPERPRIOR, "-q", "1", "--from-zero"), "--from-zero belongs to --codec cdsr1"),
        (("--codec", HYPERPRIOR, "-q", "1", "--high-rate-bias", "1"), "--high-rate-bias belongs"),
        (("--codec", GAINED, "-q", "4"), f"--quality belongs to --codec {HYPERPRIOR}. hint: "),
        (("--codec", GAINED, "--part", "all"), "--part belongs to --codec cdsr1."),
        (("--codec", GAINED, "--metric", "ms-ssim"), f"{GAINED} is not trained for --metric ms-s"),
        (("--metric", "ms-ssim", "--patch", "160"), "--patch: must be at least 176 with --metric"),
    ],
)
def test_options_that_do_not_apply_to_the_codec_are_refused(
    fails: Fails, tmp_path: Path, args: tuple[str, ...], message: str
) -> None:
    line = fails(2, "train", "codec", tmp_path, "-o", tmp_path / "run", "--steps", "1", *args)
    assert message in line
    assert not (tmp_path / "run").exists()


def test_from_zero_starts_from_no_weights(run: Run, recorder: Recorder) -> None:
    run("train", "codec", "photos", "-o", "out", "--steps", "1", "--from-zero")
    assert isinstance(recorder.config, CodecRecipeConfig)
    assert recorder.config.start is None


def test_upscaler_defaults_are_the_documented_ones(run: Run, recorder: Recorder) -> None:
    result = run("train", "upscaler", "photos", "-o", "out", "--minutes", "0.5")
    assert result.exit_code == 0
    expected = UpscalerRecipeConfig(Path("photos"), SHIPPED, patch_px=96, batch=4, blocks=6)
    assert recorder.config == expected
    assert recorder.loop == LoopConfig(Path("out"), minutes=0.5, precision="auto")
    assert "cdsrcodec train export out FOLDER" in result.stdout


def test_every_upscaler_option_reaches_the_recipe(run: Run, recorder: Recorder) -> None:
    # fmt: off
    run(
        "train", "upscaler", "photos", "-o", "out", "--steps", "7", "--seed", "4", "--patch", "32",
        "--batch", "3", "--blocks", "2", "--codec", "c", "--start", "w",
    )
    # fmt: on
    assert recorder.config == UpscalerRecipeConfig(
        Path("photos"), Path("c"), 32, 3, 2, 4, Path("w")
    )


def test_an_upscaler_is_trained_for_a_codec_that_has_one_network(
    run: Run, recorder: Recorder, fails: Fails
) -> None:
    words = ("train", "upscaler", "photos", "-o", "out", "--steps", "7", "--codec")
    assert run(*words, GAINED).exit_code == 0
    assert recorder.config == UpscalerRecipeConfig(
        Path("photos"), codec_named(GAINED).folder, 96, 4, 6
    )
    assert f"'--codec': {HYPERPRIOR} has a network for each quality" in fails(2, *words, HYPERPRIOR)


def test_a_perceptual_run_has_the_losses_of_esrgan_and_starts_from_the_shipped_upscaler(
    run: Run, recorder: Recorder
) -> None:
    words = ("train", "upscaler", "photos", "-o", "out", "--steps", "7", "--perceptual")
    run(*words)
    assert isinstance(recorder.config, UpscalerRecipeConfig)
    assert recorder.config.perceptual == LossWeights(pixels=0.01, features=1.0, adversarial=0.005)
    assert recorder.config.start == SHIPPED / "latent.safetensors"
    run(*words, "--loss-weights", "1", "0", "0.5", "--start", "w")
    assert recorder.config.perceptual == LossWeights(1.0, 0.0, 0.5)
    assert recorder.config.start == Path("w")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--loss-weights", "1", "1", "1"), "--loss-weights belong to --perceptual"),
        (("--perceptual", "--loss-weights", "1", "1", "0"), "'--loss-weights'"),
        (("--perceptual", "--loss-weights", "1", "inf", "1"), "must be finite numbers"),
    ],
)
def test_wrong_loss_weights_are_one_line(
    fails: Fails, tmp_path: Path, args: tuple[str, ...], message: str
) -> None:
    line = fails(2, "train", "upscaler", tmp_path, "-o", tmp_path / "run", "--steps", "1", *args)
    assert message in line


BUDGET = "give either --minutes or --steps. hint: cdsrcodec train {0} --help"


@pytest.mark.parametrize("recipe", ["codec", "upscaler"])
@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([], BUDGET),
        (["--minutes", "1", "--steps", "1"], BUDGET),
        (["--minutes", "0"], "'--minutes'"),
        (["--minutes", "nan"], "Invalid value for '--minutes': nan is not a finite number. hint:"),
        (["--minutes", "inf"], "inf is not a finite number"),
        (["--steps", "1", "--ema", "nan"], "nan is not a finite number"),
        (["--steps", "0"], "'--steps'"),
        (["--steps", "1.5"], "'--steps'"),
        (["--steps", "1", "--learning-rate", "nan"], "'--learning-rate'"),
        (["--steps", "1", "--ema", "1"], "'--ema'"),
        (["--steps", "1", "--warmup", "-1"], "'--warmup'"),
        (["--steps", "1", "--seed", "-1"], "'--seed'"),
        (["--steps", "1", "--precision", "fp16"], "'--precision'"),
        (["--steps", "1", "--batch", "0"], "'--batch'"),
        (["--steps", "1", "--patch", "72"], "Invalid value for '--patch': must be divisible by"),
        (["--steps", "1", "--patch", "8"], "'--patch'"),
    ],
)
def test_wrong_usage_is_one_line(
    fails: Fails, tmp_path: Path, recipe: str, args: list[str], message: str
) -> None:
    line = fails(2, "train", recipe, tmp_path, "-o", tmp_path / "run", *args)
    assert message.format(recipe) in line


def test_a_start_from_zero_has_no_start(fails: Fails, tmp_path: Path) -> None:
    args = ("-o", tmp_path / "run", "--steps", "1", "--from-zero", "--start", "w")
    line = fails(2, "train", "codec", tmp_path, *args)
    assert line.startswith("--from-zero and --start exclude each other. hint: ")


def test_a_missing_output_is_wrong_usage(fails: Fails, tmp_path: Path) -> None:
    line = fails(2, "train", "codec", tmp_path, "--steps", "1")
    assert line.startswith("Missing option '-o' / '--output'")


@pytest.mark.parametrize("recipe", ["codec", "upscaler"])
def test_a_folder_without_pictures_is_one_line_and_leaves_no_run(
    fails: Fails, tmp_path: Path, recipe: str
) -> None:
    line = fails(3, "train", recipe, tmp_path, "-o", tmp_path / "run", "--steps", "1", *QUICK)
    assert line.startswith(f"{tmp_path}: no image with both sides of at least ")


@pytest.mark.parametrize("recipe", ["codec", "upscaler", "enlarger"])
def test_a_missing_folder_of_pictures_is_one_line(
    fails: Fails, tmp_path: Path, recipe: str
) -> None:
    missing = tmp_path / "nope"
    line = fails(9, "train", recipe, missing, "-o", tmp_path / "run", "--steps", "1")
    assert line == f"{missing}: cannot be read: No such file or directory"


def test_weights_that_are_not_there_are_one_line(
    fails: Fails, tmp_path: Path, pictures: Path
) -> None:
    missing = tmp_path / "missing"
    for recipe, option in (("codec", "--start"), ("upscaler", "--codec")):
        args = (pictures, "-o", tmp_path / "run", "--steps", "1", option, missing, *QUICK)
        line = fails(11, "train", recipe, *args)
        assert line.startswith(f"{missing}: no weights of ")


def test_a_damaged_checkpoint_is_one_line_and_stays(
    fails: Fails, tmp_path: Path, pictures: Path
) -> None:
    output = tmp_path / "run"
    output.mkdir()
    (output / "checkpoint.pt").write_bytes(b"PK\x03\x04 damaged")
    args = (pictures, "-o", output, "--steps", "1", "--patch", "64", *QUICK)
    line = fails(11, "train", "codec", *args)
    assert line.startswith(f"{output / 'checkpoint.pt'}: not a checkpoint")


def test_an_output_that_is_a_file_is_one_line(fails: Fails, tmp_path: Path, pictures: Path) -> None:
    output = tmp_path / "run"
    output.touch()
    args = (pictures, "-o", output, "--steps", "1", "--patch", "64", *QUICK)
    assert fails(9, "train", "codec", *args).startswith(f"{output}: cannot be made: ")


def test_a_codec_is_trained_and_exported(
    run: Run, pictures: Path, run_folder: Path, tmp_path: Path
) -> None:
    args = (pictures, "-o", run_folder, "--steps", "2", "--patch", "64", *QUICK)
    trained = run("train", "codec", *args)
    weights = run_folder / "codec.safetensors"
    assert trained.exit_code == 0
    assert trained.stdout == (
        f"{weights}: trained. Export with: cdsrcodec train export {run_folder} FOLDER\n"
    )
    number = r"-?\d[\d.e-]*"
    line = rf"codec: 0\.0 %, step 1, loss {number} bpp {number} psnr_rgb_db {number} skipped 0\n"
    assert re.fullmatch(line, trained.stderr)

    target = tmp_path / "target"
    exported = run("train", "export", run_folder, target)
    assert exported.exit_code == 0
    lines = exported.stdout.splitlines()
    assert lines[-1] == f"{target}: written"
    proofs = [
        re.fullmatch(r"(\S+): sums below 2\^(\d+\.\d\d), exact below 2\^53", x) for x in lines
    ]
    assert [proof[1] for proof in proofs if proof] == list(LAYERS)
    assert all(30 < float(proof[2]) < 53 for proof in proofs if proof)
    assert sorted(file.stem for file in target.iterdir()) == [
        "decoder",
        "encoder",
        "entropy",
        "training",
    ]


@pytest.mark.parametrize(
    ("bound", "exponent"),
    [(1, "1.00"), ((1 << 24) - 1, "24.00"), (1 << 24, "24.01"), (100, "6.66")],
)
def test_a_bound_is_never_said_to_be_less_than_it_is(bound: int, exponent: str) -> None:
    assert exponent_above(bound) == exponent
    assert 2 ** float(exponent) > bound


def test_an_exported_codec_is_calibrated(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cdsrcodec.training.calibration.PHOTOGRAPHS", 1)
    target = tmp_path / "entropy.safetensors"
    done = run("train", "calibrate", SHIPPED, ROOT / "sample_images", "-o", target)
    assert done.exit_code == 0
    *proofs, last = done.stdout.splitlines()
    assert last == f"{target}: written"
    bounds = dict(line.split(": sums below 2^") for line in proofs)
    assert {name for name, bound in bounds.items() if float(bound) <= 24} == set(INPUTS)
    assert "prior.shared.1.weight" in load_file(target)


def test_the_tables_of_an_exported_codec_are_counted(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cdsrcodec.training.frequencies.PHOTOGRAPHS", 1)
    target = tmp_path / "entropy.safetensors"
    done = run("train", "tables", SHIPPED, ROOT / "sample_images", "-o", target)
    assert done.exit_code == 0
    change, last = done.stdout.splitlines()
    assert re.fullmatch(r"latents: \d+ bytes before, \d+ now \([+-]\d+\.\d\d %\)", change)
    assert last == f"{target}: written"
    assert "counted.counts" in load_file(target)


def test_the_studies_codec_is_trained_exported_and_imported(
    run: Run,
    pictures: Path,
    run_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CDSRCODEC_HOME", str(tmp_path / "home"))
    of_codec = ("--codec", HYPERPRIOR, "-q", "2")
    args = (pictures, "-o", run_folder, "--steps", "1", "--patch", "64", *QUICK)
    assert run("train", "codec", *args, *of_codec).exit_code == 0
    checkpoint = tmp_path / "x.pth.tar"
    exported = run("train", "export", run_folder, checkpoint)
    assert exported.stdout == f"{checkpoint}: written\n"
    imported = run("models", "import", checkpoint, *of_codec)
    assert re.match(rf"{HYPERPRIOR}-mse-2-[0-9a-f]{{8}}: installed", imported.output)


def test_an_upscaler_is_trained_and_exported(
    run: Run, pictures: Path, run_folder: Path, tmp_path: Path
) -> None:
    args = (pictures, "-o", run_folder, "--steps", "1", "--patch", "16", "--blocks", "0", *QUICK)
    trained = run("train", "upscaler", *args)
    assert trained.exit_code == 0
    assert trained.stderr.startswith("upscaler: 0.0 %, step 1, loss ")
    exported = run("train", "export", run_folder, tmp_path / "target")
    assert exported.stdout == f"{tmp_path / 'target'}: written\n"
    tensors = load_file(tmp_path / "target" / "latent.safetensors")
    assert "tail.weight" in tensors


def test_an_export_of_nothing_is_one_line(fails: Fails, tmp_path: Path) -> None:
    line = fails(11, "train", "export", tmp_path / "run", tmp_path / "target")
    assert line.startswith(f"{tmp_path / 'run'}: no finished run: ")


def kill_after_first_checkpoint(args: list[str], checkpoint: Path) -> None:
    """Start the command and end it without a warning once it has saved."""
    process = subprocess.Popen(
        [sys.executable, "-m", "cdsrcodec", *args],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while not checkpoint.exists():
            assert process.poll() is None, "ended before it saved anything"
            time.sleep(0.01)
    finally:
        process.kill()
    assert process.wait() == -signal.SIGKILL


def test_a_killed_run_goes_on_from_its_checkpoint(
    run: Run, pictures: Path, run_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    # fmt: off
    args = [
        "train", "codec", str(pictures), "-o", str(run_folder), "--steps", "12", "--patch", "64",
        "--part", "decoder", "--checkpoint-minutes", "0", *QUICK,
    ]
    # fmt: on
    checkpoint = run_folder / "checkpoint.pt"
    kill_after_first_checkpoint(args, checkpoint)
    saved = torch.load(checkpoint, weights_only=True)["step"]
    assert 1 <= saved < 10
    assert not (run_folder / "codec.safetensors").exists()

    assert run(*args).exit_code == 0
    assert torch.load(checkpoint, weights_only=True)["step"] == 12
    assert (run_folder / "codec.safetensors").exists()
    with (run_folder / "log.csv").open(newline="") as file:
        steps = [row["step"] for row in csv.DictReader(file)]
    # A run that began anew would have logged its first step again.
    assert steps == ["1", "11"]


def test_other_processes_of_torchrun_stay_silent(
    run: Run, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "1")
    result = run("train", "codec", "photos", "-o", "out", "--steps", "1")
    assert result.exit_code == 0
    assert result.output == ""


def test_off_a_terminal_progress_is_a_line_every_50_steps(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with display("codec") as on_step:
        for step in range(1, 103):
            on_step(report(step, progress=(step - 1) / 200, loss=2.0))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "codec: 0.0 %, step 1, loss 2",
        "codec: 25.0 %, step 51, loss 2",
        "codec: 50.0 %, step 101, loss 2",
    ]


def shown_means(values: list[float], first_step: int, capsys: pytest.CaptureFixture[str]) -> float:
    """The mean in the last line after these values, the last of which is that of step 51."""
    with display("codec") as on_step:
        for step, value in enumerate(values, first_step):
            on_step(report(step, loss=value))
    return float(capsys.readouterr().err.splitlines()[-1].split(" loss ")[1])


def test_means_begin_as_plain_ones_and_then_forget(capsys: pytest.CaptureFixture[str]) -> None:
    values = [float(step % 7) for step in range(51)]
    expected = sum(values[:50]) / 50
    expected = SMOOTHING * expected + (1 - SMOOTHING) * values[50]
    assert shown_means(values, 1, capsys) == pytest.approx(expected, rel=1e-3)


def test_means_of_a_resumed_run_begin_with_its_first_value(
    capsys: pytest.CaptureFixture[str],
) -> None:
    expected = SMOOTHING * 4.0 + (1 - SMOOTHING) * 2.0
    assert shown_means([4.0, 2.0], 50, capsys) == pytest.approx(expected, rel=1e-3)


def test_means_pass_over_a_step_that_was_not_finite(capsys: pytest.CaptureFixture[str]) -> None:
    values = [3.0] * 50
    values[20], values[30] = math.nan, math.inf
    assert shown_means([*values, 3.0], 1, capsys) == pytest.approx(3.0)


def last_frame(terminal: io.StringIO) -> str:
    """The last bar that was painted; an escape sequence shows the cursor again after it."""
    return [line for line in terminal.getvalue().splitlines() if "step" in line][-1]


def test_on_a_terminal_progress_is_a_bar_that_ends_full(
    terminal: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    with display("upscaler") as on_step:
        on_step(report(1, progress=0.0, loss=0.25, psnr_rgb_db=30.0))
        on_step(report(2, progress=0.5, loss=0.75, psnr_rgb_db=31.0))
    frame = last_frame(terminal)
    assert "upscaler" in frame
    assert "100.0 %  step 2  loss 0.5 psnr_rgb_db 30.5" in frame
    assert capsys.readouterr().err == ""


def test_on_a_terminal_an_error_leaves_the_bar_where_it_was(terminal: io.StringIO) -> None:
    def run_interrupted() -> None:
        with display("codec") as on_step:
            on_step(report(2, progress=0.5, loss=0.75))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_interrupted()
    assert " 50.0 %  step 2" in last_frame(terminal)


def test_on_a_terminal_only_the_first_process_shows_a_bar(
    terminal: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "1")
    with display("codec") as on_step:
        on_step(report(1, loss=0.5))
    assert terminal.getvalue() == ""
