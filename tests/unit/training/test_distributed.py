"""Two processes that train together, as torchrun starts them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, distributed, nn

from cdsrcodec.training.codec_recipe import (
    CodecBatch,
    CodecRecipe,
    CodecRecipeConfig,
    TrainableCdsr1,
)
from cdsrcodec.training.distributed import Group, is_first_process, joined_group
from cdsrcodec.training.loop import LoopConfig, TrainingLoop

CPU = torch.device("cpu")
ROOT = Path(__file__).resolve().parents[3]
STEPS, LEARNING_RATE = 2, 1e-4


class BothRanks(CodecRecipe):
    """Trains alone on the batches of rank 0 and rank 1: its gradient is their mean."""

    def batch(self, step: int, rank: int) -> CodecBatch:
        batches = [super(BothRanks, self).batch(step, r) for r in (0, 1)]
        return CodecBatch(*map(torch.cat, zip(*batches, strict=True)))


def run_torchrun(pictures: Path, output: Path) -> subprocess.CompletedProcess[str]:
    # fmt: off
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
        "-m", "cdsrcodec", "train", "codec", str(pictures), "--output", str(output),
        "--steps", str(STEPS), "--part", "decoder", "--patch", "64", "--batch", "1",
        "--factor", "1", "--warmup", "0", "--learning-rate", str(LEARNING_RATE),
        "--precision", "fp32", "--device", "cpu",
    ]
    # fmt: on
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )


def trained_alone(
    recipe_class: type[CodecRecipe], pictures: Path, start: Path, output: Path
) -> dict[str, Tensor]:
    config = CodecRecipeConfig(
        pictures, patch_px=64, batch=1, factors=(1,), part="decoder", start=start
    )
    loop = LoopConfig(
        output, steps=STEPS, warmup_steps=0, learning_rate=LEARNING_RATE, precision="fp32"
    )
    state = TrainingLoop(recipe_class(config, CPU), loop, Group(CPU)).run()
    return {name.removeprefix("network."): tensor for name, tensor in state.items()}


def flat_update(state: dict[str, Tensor], start: TrainableCdsr1) -> Tensor:
    """What training added to the parameters, as one vector."""
    return torch.cat([(state[n] - p).flatten() for n, p in start.named_parameters()])


def test_two_processes_train_on_the_mean_of_their_gradients(
    pictures: Path, shipped: Path, shipped_network: TrainableCdsr1, run_folder: Path
) -> None:
    done = run_torchrun(pictures, run_folder / "two")
    assert done.returncode == 0, done.stderr
    files = sorted(file.name for file in (run_folder / "two").iterdir())
    assert files == ["checkpoint.pt", "codec.safetensors", "log.csv"]
    assert done.stdout.count("trained. Export with") == 1
    assert done.stderr.count("codec: 0.0 %, step 1, loss ") == 1
    assert len((run_folder / "two" / "log.csv").read_text().splitlines()) == 2

    together = flat_update(load_file(run_folder / "two" / "codec.safetensors"), shipped_network)
    both = flat_update(
        trained_alone(BothRanks, pictures, shipped, run_folder / "both"), shipped_network
    )
    first = flat_update(
        trained_alone(CodecRecipe, pictures, shipped, run_folder / "first"), shipped_network
    )
    # Adam's first steps are near the sign of the gradient, so where that is almost zero a
    # different order of additions shows.
    assert float((together - both).norm() / both.norm()) < 0.02
    assert float((together - first).norm() / both.norm()) > 0.3


@pytest.fixture
def _group_of_one(tmp_path: Path) -> Iterator[None]:
    meeting = f"file://{tmp_path / 'meeting'}"
    distributed.init_process_group("gloo", init_method=meeting, rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


@pytest.mark.usefixtures("_group_of_one")
def test_a_process_among_several_shares_gradients_and_rank_0s_clock() -> None:
    group = Group(CPU, rank=0, world_size=2)
    module = nn.Linear(2, 1)
    wrapped = group.wrap(module)
    assert isinstance(wrapped, nn.parallel.DistributedDataParallel)
    assert wrapped.module is module
    assert group.agree(0.1 + 0.2) == 0.1 + 0.2


def test_a_process_that_torchrun_did_not_start_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    monkeypatch.delenv("RANK", raising=False)
    with joined_group(CPU) as group:
        assert group == Group(CPU, rank=0, world_size=1)
        assert not distributed.is_initialized()
    assert is_first_process()


@pytest.mark.parametrize(
    ("device", "joined", "backend"), [("cpu", "cpu", "gloo"), ("cuda", "cuda:3", "nccl")]
)
def test_a_process_joins_with_the_backend_of_its_device_and_leaves_after_an_error(
    monkeypatch: pytest.MonkeyPatch, device: str, joined: str, backend: str
) -> None:
    calls: list[object] = []
    for name, value in {"WORLD_SIZE": 8, "RANK": 5, "LOCAL_RANK": 3}.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setattr(torch.cuda, "set_device", calls.append)
    monkeypatch.setattr(distributed, "init_process_group", calls.append)
    monkeypatch.setattr(distributed, "get_rank", lambda: 5)
    monkeypatch.setattr(distributed, "get_world_size", lambda: 8)
    monkeypatch.setattr(distributed, "destroy_process_group", lambda: calls.append("left"))

    def fail_inside() -> None:
        with joined_group(torch.device(device)) as group:
            assert group == Group(torch.device(joined), rank=5, world_size=8)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_inside()
    assert calls[-2:] == [backend, "left"]
    assert calls[:-2] == [torch.device(joined)] * (device == "cuda")
    assert not is_first_process()
