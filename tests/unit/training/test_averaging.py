"""Averages of a run over a network with batch normalisation."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from cdsrcodec.errors import TrainingError
from cdsrcodec.training.distributed import Group
from cdsrcodec.training.folding import trainable
from cdsrcodec.training.loop import LoopConfig, TrainingLoop
from cdsrcodec.training.recipe import AdamAlone

ALONE = Group(torch.device("cpu"))
STATISTICS = {"norm.running_mean", "norm.running_var"}


class Objective(nn.Module):
    """Squared error of a normalised convolution, beside a buffer that is none of its statistics."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 1)
        self.norm = nn.BatchNorm2d(2)
        self.register_buffer("limit", torch.tensor([3.0]))

    def forward(self, batch: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        return (self.norm(self.conv(batch)) - batch).square().mean(), {}


class Recipe(AdamAlone):
    """Random batches for the Objective.

    Args:
        broken: steps whose batch is NaN.
    """

    def __init__(self, broken: tuple[int, ...] = ()) -> None:
        torch.manual_seed(0)
        self.module = Objective()
        self.broken = broken

    @property
    def aim(self) -> dict[str, str]:
        return {}

    def batch(self, step: int, rank: int) -> Tensor:
        batch = torch.rand(4, 1, 3, 3, generator=torch.Generator().manual_seed(step))
        return batch * math.nan if step in self.broken else batch


def loop(output: Path, steps: int, **recipe: tuple[int, ...]) -> TrainingLoop:
    config = LoopConfig(output, steps=steps, learning_rate=0.1, warmup_steps=0)
    return TrainingLoop(Recipe(**recipe), config, ALONE)


def without_statistics(checkpoint: Path) -> None:
    """Make a checkpoint what versions up to 0.6.0 wrote."""
    state = torch.load(checkpoint, weights_only=True)
    for name in STATISTICS:
        del state["averages"][name]
    torch.save(state, checkpoint)


def test_statistics_are_averaged_as_the_weights_before_them_are(tmp_path: Path) -> None:
    run = loop(tmp_path, 1)
    before = {name: t.clone() for name, t in run.module.state_dict().items()}
    averaged = run.run()
    after = run.module.state_dict()
    for name in ("conv.weight", "norm.weight", *STATISTICS):
        assert not torch.equal(after[name], before[name])
        # Of the first steps the average takes more: 1 - (1 + step) / (10 + step).
        torch.testing.assert_close(averaged[name], before[name].lerp(after[name], 0.9))


def test_counters_and_constants_are_not_averaged(tmp_path: Path) -> None:
    run = loop(tmp_path, 3)
    averaged = run.run()
    assert run.averages.tensors.keys() == run.trained.keys() | STATISTICS
    assert averaged.keys() == run.module.state_dict().keys()
    assert int(averaged["norm.num_batches_tracked"]) == 3
    assert averaged["limit"].tolist() == [3.0]


def test_all_statistics_of_srgan_are_averaged(tmp_path: Path) -> None:
    recipe = Recipe()
    recipe.module = trainable("srgan")  # type: ignore[assignment]
    averages = TrainingLoop(recipe, LoopConfig(tmp_path, steps=1), ALONE).averages
    names = [name for name in averages.tensors if ".running_" in name]
    assert len(names) == 2 * (2 * 16 + 1)


def test_a_batch_that_is_skipped_leaves_no_statistics(tmp_path: Path) -> None:
    run = loop(tmp_path, 3, broken=(2,))
    averaged = run.run()
    assert all(averaged[name].isfinite().all() for name in STATISTICS)
    for name in STATISTICS:
        assert torch.equal(run.module.state_dict()[name], averaged[name])


def test_a_checkpoint_keeps_the_averaged_statistics(tmp_path: Path) -> None:
    expected = loop(tmp_path, 4).run()
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert state["averages"].keys() > STATISTICS
    resumed = loop(tmp_path, 4)
    assert resumed.averages.tensors.keys() == state["averages"].keys()
    assert all(torch.equal(t, expected[name]) for name, t in resumed.averages.tensors.items())


def test_a_checkpoint_without_averaged_statistics_is_trained_on(tmp_path: Path) -> None:
    first = loop(tmp_path, 1)
    first.run()
    without_statistics(tmp_path / "checkpoint.pt")
    resumed = loop(tmp_path, 2)
    for name in STATISTICS:
        start = first.module.state_dict()[name]
        assert torch.equal(resumed.averages.tensors[name], start)
    averaged = resumed.run()
    for name in STATISTICS:
        assert not torch.equal(averaged[name], first.module.state_dict()[name])


def test_a_checkpoint_whose_statistics_are_of_another_shape_is_refused(tmp_path: Path) -> None:
    loop(tmp_path, 1).run()
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    state["averages"]["norm.running_mean"] = torch.zeros(5)
    torch.save(state, tmp_path / "checkpoint.pt")
    with pytest.raises(TrainingError, match="another recipe"):
        loop(tmp_path, 2)


def test_a_checkpoint_with_other_frozen_networks_is_refused(tmp_path: Path) -> None:
    loop(tmp_path, 1).run()
    recipe = Recipe()
    recipe.module.register_buffer("mean", torch.zeros(3))
    with pytest.raises(TrainingError, match="another recipe"):
        TrainingLoop(recipe, LoopConfig(tmp_path, steps=2), ALONE)
