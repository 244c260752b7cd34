"""cdsrcodec train enlarger, and the upscalers that it makes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import Result
from PIL import Image
from safetensors.torch import save_file

from cdsrcodec.cli.options import UpscalerChoice
from cdsrcodec.models.registry import codec_named
from cdsrcodec.sr.edsr import Edsr
from cdsrcodec.sr.registry import UpscalerEntry
from cdsrcodec.training.enlarger_recipe import EnlargerRecipeConfig
from cdsrcodec.training.loop import LoopConfig, StepReport

Run = Callable[..., Result]
Fails = Callable[..., str]


class Recorder:
    """Stands for train_enlarger: keeps what it is called with."""

    def __init__(self) -> None:
        self.config: EnlargerRecipeConfig
        self.loop: LoopConfig

    def __call__(
        self,
        config: EnlargerRecipeConfig,
        loop: LoopConfig,
        device: torch.device,
        on_step: Callable[[StepReport], None],
    ) -> Path:
        self.config, self.loop = config, loop
        return loop.output / "weights"


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    recorder = Recorder()
    monkeypatch.setattr("cdsrcodec.training.runs.train_enlarger", recorder)
    return recorder


def test_defaults_are_the_documented_ones(run: Run, recorder: Recorder) -> None:
    result = run("train", "enlarger", "photos", "-o", "out", "--minutes", "45")
    assert result.exit_code == 0
    assert recorder.config == EnlargerRecipeConfig(Path("photos"))
    assert recorder.loop == LoopConfig(Path("out"), minutes=45.0, precision="auto")
    assert "cdsrcodec train export out FOLDER" in result.stdout


def test_every_option_reaches_the_recipe(run: Run, recorder: Recorder) -> None:
    # fmt: off
    run(
        "train", "enlarger", "photos", "-o", "out", "--steps", "7", "--network", "srgan",
        "--codec", "cdsr1", "--patch", "32", "--batch", "3", "--adversarial", "0.01",
        "--content", "vgg", "--seed", "4", "--start", "w",
    )
    # fmt: on
    assert recorder.config == EnlargerRecipeConfig(
        Path("photos"), "srgan", codec_named("cdsr1").folder, 32, 3, 0.01, "vgg", 4, Path("w")
    )
    run("train", "enlarger", "photos", "-o", "out", "--steps", "7", "--codec", "my.safetensors")
    assert recorder.config.codec == Path("my.safetensors")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((), "give either --minutes or --steps"),
        (("--steps", "1", "--patch", "20"), "for '--patch': must be divisible by 16"),
        (("--steps", "1", "--network", "magic"), "'magic' is not one of 'edsr', 'wdsr', 'srgan'"),
        (("--steps", "1", "--adversarial", "nan"), "'--adversarial'"),
        (("--steps", "1", "--content", "vgg"), "--content belongs to --adversarial above 0"),
    ],
)
def test_wrong_usage_is_one_line(
    fails: Fails, tmp_path: Path, args: tuple[str, ...], message: str
) -> None:
    assert message in fails(2, "train", "enlarger", tmp_path, "-o", tmp_path / "run", *args)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """EDSR that adds a fifth of the full range to the bicubic enlargement."""
    network = Edsr()
    assert network.tail.bias is not None
    torch.nn.init.constant_(network.tail.bias, 0.2)
    file = tmp_path / "enlarger.safetensors"
    save_file(network.state_dict(), file, {"network": "edsr"})
    return file


@pytest.mark.parametrize("name", ["edsr", "edsr-b2"])
def test_weights_that_were_named_enlarge_pictures_and_streams(
    run: Run, picture: Path, stream: Path, tmp_path: Path, weights: Path, name: str
) -> None:
    for words, source in ((("upscale",), picture), (("decode", "--sr", "4"), stream)):
        enlarged = {}
        for options in (("bicubic",), (name, "--weights", str(weights))):
            target = tmp_path / f"{words[0]}-{options[0]}.png"
            result = run(*words, "--upscaler", *options, source, target)
            assert result.exit_code == 0, result.output
            with Image.open(target) as image:
                enlarged[options[0]] = np.asarray(image).astype(int)
        assert enlarged[name].shape == (92, 148, 3)
        assert (enlarged[name] - enlarged["bicubic"]).mean() == pytest.approx(51, abs=1)


def test_a_file_of_other_weights_is_one_line(
    fails: Fails, picture: Path, tmp_path: Path, weights: Path
) -> None:
    words = ("upscale", "--upscaler", "wdsr", "--weights", weights, picture, tmp_path / "x.png")
    line = fails(5, *words)
    assert line.startswith(f"{weights}: not the exported weights of wdsr, but of edsr. hint: ")


def test_an_upscaler_without_weights_is_taken_but_not_shown(tmp_path: Path) -> None:
    absent = UpscalerEntry("wdsr", file=tmp_path / "missing", network="wdsr")
    choice = UpscalerChoice([UpscalerEntry("bicubic"), absent])
    assert list(choice.choices) == ["bicubic"]
    assert choice.convert("wdsr", None, None) == "wdsr"


def test_without_weights_an_upscaler_says_how_to_get_them(
    fails: Fails, picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = UpscalerEntry("srgan", file=tmp_path / "missing", network="srgan")
    monkeypatch.setattr("cdsrcodec.sr.registry.UPSCALERS", (absent,))
    line = fails(5, "upscale", "--upscaler", "srgan", picture, tmp_path / "out.png")
    assert line.startswith("this version has no weights for the upscaler 'srgan'. hint: ")
