from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from cdsrcodec import api
from cdsrcodec.evaluation import speed
from cdsrcodec.sr.rrdbnet import RrdbNet

Picture = NDArray[np.uint8]


@pytest.fixture
def stand_ins(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The codec and child processes replaced; the commands of the latter are kept."""
    commands: list[list[str]] = []

    def start(command: list[str], **options: Any) -> None:  # noqa: ANN401
        assert options == {"check": True, "capture_output": True}
        commands.append(command)

    def encode(image: Picture, *, quality: float, device: str) -> bytes:
        assert device == "cpu"  # where the others are
        return b"stream"

    def decode(data: bytes, *, device: str, sr: int = 1, precision: str = "") -> Image.Image:
        assert device == "cpu"
        assert precision == ("fp32" if sr == 4 else "")  # as theirs is
        return Image.new("RGB", (16 * sr, 16 * sr))

    monkeypatch.setattr(api, "encode", encode)
    monkeypatch.setattr(api, "decode", decode)
    # Not for the whole process: libraries start processes while they are imported.
    monkeypatch.setattr(speed, "subprocess", SimpleNamespace(run=start))
    return commands


@pytest.fixture
def same_threads() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def test_tasks_run_in_turns_and_the_first_round_is_not_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now_s = 0.0
    order = []

    def task(name: str, durations_s: list[float]) -> Callable[[], None]:
        remaining = iter(durations_s)

        def run() -> None:
            nonlocal now_s
            order.append(name)
            now_s += next(remaining)

        return run

    monkeypatch.setattr("time.perf_counter", lambda: now_s)
    tasks = {"fast": task("fast", [9, 1, 3, 2]), "slow": task("slow", [0, 50, 40, 60])}
    assert speed.time_in_turns(tasks, 3) == {"fast": 2, "slow": 50}
    assert order == ["fast", "slow"] * 4


def test_report_lists_medians_then_ratios() -> None:
    lines = list(speed.report({"theirs": 0.5, "ours": 0.125}, [("theirs", "ours")]))
    assert lines == ["theirs\t0.5000 s", "ours\t0.1250 s", "theirs / ours\t4.00"]


def test_tensor_has_channels_first_and_unit_range() -> None:
    x = np.zeros((2, 3, 3), np.uint8)
    x[1, 2] = (255, 51, 0)
    tensor = speed.to_tensor(x)
    assert tensor.shape == (1, 3, 2, 3)
    assert tensor[0, :, 1, 2].tolist() == pytest.approx([1, 0.2, 0])


def test_hyperprior_codes_a_padded_picture_back_to_its_size(
    picture: Callable[..., Picture],
) -> None:
    tasks = speed.hyperprior_tasks(picture(20, 70))
    coded, decoded = (tasks[f"hyperprior {verb}"]() for verb in ("compress", "decompress"))
    assert isinstance(coded, dict)
    assert isinstance(decoded, dict)
    assert len(coded["strings"]) == 2
    assert decoded["x_hat"].shape == (1, 3, 64, 128)


def test_startup_encodes_before_it_lists_the_file(
    stand_ins: list[list[str]], tmp_path: Path
) -> None:
    tasks = speed.startup_tasks(tmp_path / "in.png", tmp_path)
    for task in tasks.values():
        task()
    stream = str(tmp_path / "timed.cdsr")
    assert [command[1:] for command in stand_ins] == [
        ["-c", "import torch"],
        ["-m", "cdsrcodec", "encode", "-f", "--device", "cpu", str(tmp_path / "in.png"), stream],
        ["-m", "cdsrcodec", "info", stream],
        ["-m", "cdsrcodec", "--help"],
    ]


@pytest.mark.usefixtures("same_threads")
def test_all_ratios_are_reported_from_the_command_line(
    stand_ins: list[list[str]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    picture: Callable[..., Picture],
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(speed, "CORE_SIZE_PX", (16, 16))
    monkeypatch.setattr(speed, "RrdbNet", lambda: RrdbNet(channels=4, blocks=1, growth=2))
    Image.fromarray(picture(30, 40)).save(tmp_path / "in.png")
    arguments = ["--repeats", "2", "--slow-repeats", "1", "--threads", "1"]
    assert speed.main([str(tmp_path / "in.png"), *arguments]) == 0
    out = capsys.readouterr().out
    for ratio in (
        "hyperprior compress / cdsr1 encode",
        "hyperprior compress / cdsr1 encode, verified",
        "hyperprior decompress / cdsr1 decode",
        "RRDBNet forward / cdsr1 decode --sr 4",
        "cdsrcodec encode / import torch",
    ):
        assert f"{ratio}\t" in out
    assert len(stand_ins) == 3 * 4
    assert torch.get_num_threads() == 1


def test_a_missing_picture_ends_with_the_code_of_its_error(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert speed.main([str(tmp_path / "missing.png")]) == 9
    assert capsys.readouterr().err.startswith(f"error: {tmp_path / 'missing.png'}: ")
