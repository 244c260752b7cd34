"""The training loop on a recipe of five parameters."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cdsrcodec.errors import FileAccessError, TrainingError
from cdsrcodec.training.distributed import Group
from cdsrcodec.training.gradient_guard import GradientGuard
from cdsrcodec.training.loop import (
    LoopConfig,
    StepReport,
    TrainingLoop,
    learning_rate_factor,
)

CPU = torch.device("cpu")
ALONE = Group(CPU)


class Objective(nn.Module):
    """Squared error of a linear layer on inputs with noise of their own."""

    def __init__(self, *, width: int = 4, name: str = "layer") -> None:
        super().__init__()
        self.add_module(name, nn.Linear(width, 1))
        self.out_dtype = torch.float64

    def forward(self, batch: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        (layer,) = self.children()
        out = layer(batch + torch.rand_like(batch))
        self.out_dtype = out.dtype
        loss = (out.float() - 1).square().mean()
        return loss, {"out": out.mean()}


class TinyRecipe:
    """Random inputs for an Objective; remembers what the loop asked for.

    Args:
        module: what is trained.
        broken: steps whose batch is NaN.
        factors: of the learning rate, by the name of the parameter; 1 otherwise.
        muon: names of the parameters that Muon trains.
        tick: called for each batch.
        colour: what it is trained for.
    """

    def __init__(
        self,
        module: Objective | None = None,
        broken: tuple[int, ...] = (),
        factors: dict[str, float] | None = None,
        muon: tuple[str, ...] = (),
        tick: Callable[[], None] = lambda: None,
        colour: str = "red",
    ) -> None:
        torch.manual_seed(0)
        self.module = module or Objective()
        self.broken, self.factors, self.tick = broken, factors or {}, tick
        self.muon, self.colour = muon, colour
        self.asked: list[tuple[int, int]] = []

    @property
    def aim(self) -> dict[str, str]:
        return {"colour": self.colour}

    def rate_factor(self, name: str) -> float:
        return self.factors.get(name, 1.0)

    def takes_muon(self, name: str) -> bool:
        return name in self.muon

    def batch(self, step: int, rank: int) -> Tensor:
        self.tick()
        self.asked.append((step, rank))
        (layer,) = self.module.children()
        assert isinstance(layer, nn.Linear)
        generator = torch.Generator().manual_seed(step)
        batch = torch.rand(8, layer.in_features, generator=generator)
        return batch * math.nan if step in self.broken else batch


class Clock:
    """Seconds that pass only when told to."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s

    def tick(self) -> None:
        self.now_s += 1.0


class Interruption(Exception):
    """Stands for a kill, at which nothing more is saved."""


def interrupt_at(step: int) -> Callable[[StepReport], None]:
    def on_step(report: StepReport) -> None:
        if report.step == step:
            raise Interruption

    return on_step


def config(output: Path, **settings: object) -> LoopConfig:
    defaults: dict[str, object] = {
        "steps": 6,
        "learning_rate": 0.1,
        "warmup_steps": 0,
        "precision": "fp32",
    }
    return LoopConfig(output, **(defaults | settings))  # type: ignore[arg-type]


def weights(module: nn.Module) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in module.named_parameters()}


def assert_equal(left: dict[str, Tensor], right: dict[str, Tensor]) -> None:
    assert left.keys() == right.keys()
    assert [name for name in left if not torch.equal(left[name], right[name])] == []


def logged(output: Path) -> list[dict[str, str]]:
    with (output / "log.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    ("progress", "step", "warmup_steps", "factor"),
    [
        (0, 0, 10, 0.1),
        (0, 4, 10, 0.5),
        (0, 9, 10, 1),
        (0, 500, 10, 1),
        (0, 0, 0, 1),
        (0.5, 500, 10, 0.5),
        (0.5, 4, 10, 0.25),
        (1 / 3, 500, 10, 0.75),
        (1, 500, 10, 0),
        (1.01, 500, 10, 0),
    ],
)
def test_the_rate_warms_up_and_falls_as_a_cosine_to_zero(
    progress: float, step: int, warmup_steps: int, factor: float
) -> None:
    assert learning_rate_factor(progress, step, warmup_steps) == pytest.approx(factor)


def with_gradient(*gradient: float) -> list[nn.Parameter]:
    parameter = nn.Parameter(torch.zeros(len(gradient)))
    parameter.grad = torch.tensor(gradient)
    return [parameter]


def test_a_large_gradient_is_clipped_to_norm_1() -> None:
    parameters = with_gradient(30.0, -40.0)
    assert GradientGuard().accept(parameters)
    assert parameters[0].grad is not None
    assert parameters[0].grad.tolist() == pytest.approx([0.6, -0.8], rel=1e-5)


def test_a_small_gradient_stays_as_it_is() -> None:
    parameters = with_gradient(0.3, 0.4)
    assert GradientGuard().accept(parameters)
    assert parameters[0].grad is not None
    assert parameters[0].grad.tolist() == pytest.approx([0.3, 0.4])


def test_a_spike_is_refused_and_remembered_as_the_limit() -> None:
    guard = GradientGuard([0.5] * 19 + [100.0])
    assert not guard.accept(with_gradient(4.1))
    assert guard.accept(with_gradient(3.9))
    assert list(guard.norms)[-2:] == pytest.approx([4.0, 3.9])


def test_a_lasting_rise_is_let_through_in_time() -> None:
    guard = GradientGuard([0.1] * 100)
    accepted = [guard.accept(with_gradient(5.0)) for _ in range(120)]
    assert not accepted[0]
    assert all(accepted[-20:])


def test_the_first_steps_may_be_as_steep_as_they_like() -> None:
    assert GradientGuard([0.5] * 19).accept(with_gradient(1e6))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_gradient_that_is_not_finite_is_refused(value: float) -> None:
    guard = GradientGuard()
    assert not guard.accept(with_gradient(1.0, value))
    assert list(guard.norms) == []


def test_the_guard_looks_back_100_steps() -> None:
    assert len(GradientGuard([1.0] * 250).norms) == 100


@pytest.mark.parametrize("budget", [{"minutes": None, "steps": None}, {"minutes": 1.0, "steps": 1}])
def test_a_run_has_one_budget(tmp_path: Path, budget: dict[str, float | None]) -> None:
    with pytest.raises(TrainingError, match="either minutes or steps"):
        TrainingLoop(TinyRecipe(), config(tmp_path, **budget), ALONE)


def test_a_run_of_steps_takes_these_steps_and_reports_them(tmp_path: Path) -> None:
    recipe, reports = TinyRecipe(), list[StepReport]()
    TrainingLoop(recipe, config(tmp_path, steps=4), ALONE, reports.append).run()
    assert recipe.asked == [(step, 0) for step in range(4)]
    assert [report.step for report in reports] == [1, 2, 3, 4]
    assert [report.progress for report in reports] == [0, 0.25, 0.5, 0.75]
    assert set(reports[0].metrics) == {"loss", "out", "skipped"}
    assert all(math.isfinite(value) for r in reports for value in r.metrics.values())


def test_training_lowers_the_loss(tmp_path: Path) -> None:
    reports: list[StepReport] = []
    TrainingLoop(TinyRecipe(), config(tmp_path, steps=60), ALONE, reports.append).run()
    losses = [report.metrics["loss"] for report in reports]
    assert sum(losses[-10:]) < 0.5 * sum(losses[:10])


def test_a_run_of_minutes_ends_with_them_and_with_the_rate_at_zero(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, reports = Clock(), list[StepReport]()
    monkeypatch.setattr("cdsrcodec.training.loop.time", clock)
    settings = config(tmp_path, steps=None, minutes=1.5)
    TrainingLoop(TinyRecipe(tick=clock.tick), settings, ALONE, reports.append).run()
    assert len(reports) == 90
    assert clock.now_s == 1090
    assert reports[45].learning_rate == pytest.approx(0.05)
    assert 0 < reports[-1].learning_rate < 1e-4


def test_a_step_tells_the_rate_that_it_was_taken_at(tmp_path: Path) -> None:
    reports: list[StepReport] = []
    settings = config(tmp_path, steps=1000, warmup_steps=4)

    def on_step(report: StepReport) -> None:
        reports.append(report)
        interrupt_at(5)(report)

    with pytest.raises(Interruption):
        TrainingLoop(TinyRecipe(), settings, ALONE, on_step).run()
    rates = [report.learning_rate for report in reports]
    assert rates == pytest.approx([0.025, 0.05, 0.075, 0.1, 0.1], rel=1e-3)


def test_minutes_count_over_all_resumptions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, reports = Clock(), list[StepReport]()
    monkeypatch.setattr("cdsrcodec.training.loop.time", clock)
    settings = config(tmp_path, steps=None, minutes=0.5, checkpoint_minutes=0)
    with pytest.raises(Interruption):
        TrainingLoop(TinyRecipe(tick=clock.tick), settings, ALONE, interrupt_at(21)).run()
    clock.now_s += 5000
    TrainingLoop(TinyRecipe(tick=clock.tick), settings, ALONE, reports.append).run()
    # A checkpoint's time is that at which its last step began: 19 s after step 20.
    assert [report.step for report in reports] == list(range(21, 32))
    assert reports[0].progress == pytest.approx(19 / 30)


def test_the_run_in_real_minutes_ends_soon_after_its_budget(tmp_path: Path) -> None:
    reports: list[StepReport] = []
    settings = config(tmp_path, steps=None, minutes=0.2 / 60)
    TrainingLoop(TinyRecipe(), settings, ALONE, reports.append).run()
    assert 0 < reports[-1].elapsed_s < 0.2
    assert 0 < reports[-1].progress < 1


def test_the_average_follows_the_weights(tmp_path: Path) -> None:
    recipe = TinyRecipe()
    before = weights(recipe.module)
    averaged = TrainingLoop(recipe, config(tmp_path, steps=1), ALONE).run()
    after = weights(recipe.module)
    for name, average in averaged.items():
        assert not torch.equal(after[name], before[name])
        # Of the first steps the average takes more: 1 - (1 + step) / (10 + step).
        torch.testing.assert_close(average, before[name].lerp(after[name], 0.9))


def test_the_average_of_a_long_run_keeps_its_decay(tmp_path: Path) -> None:
    recipe = TinyRecipe()
    first = TrainingLoop(recipe, config(tmp_path, steps=1, ema_decay=0.05), ALONE)
    before = weights(recipe.module)
    averaged = first.run()
    for name, after in weights(recipe.module).items():
        torch.testing.assert_close(averaged[name], before[name].lerp(after, 0.95))


def test_an_average_without_decay_is_the_weights(tmp_path: Path) -> None:
    recipe = TinyRecipe()
    averaged = TrainingLoop(recipe, config(tmp_path, ema_decay=0.0), ALONE).run()
    assert_equal(dict(averaged), weights(recipe.module))


def test_a_step_that_is_skipped_changes_nothing(tmp_path: Path) -> None:
    reports: list[StepReport] = []
    states: list[dict[str, Tensor]] = []
    recipe = TinyRecipe(broken=(2,))

    def on_step(report: StepReport) -> None:
        reports.append(report)
        states.append(
            weights(recipe.module) | {"average": loop.averages.tensors["layer.weight"].clone()}
        )

    loop = TrainingLoop(recipe, config(tmp_path, steps=4), ALONE, on_step)
    loop.run()
    assert [report.metrics["skipped"] for report in reports] == [0, 0, 1, 0]
    assert_equal(states[2], states[1])
    assert not torch.equal(states[3]["average"], states[2]["average"])


def test_parameters_that_are_frozen_stay_and_are_returned(tmp_path: Path) -> None:
    recipe = TinyRecipe()
    before = weights(recipe.module)
    recipe.module.get_parameter("layer.bias").requires_grad_(False)
    loop = TrainingLoop(recipe, config(tmp_path), ALONE)
    averaged = loop.run()
    assert list(loop.trained) == ["layer.weight"]
    assert torch.equal(averaged["layer.bias"], before["layer.bias"])
    assert not torch.equal(averaged["layer.weight"], before["layer.weight"])


def test_a_factor_slows_the_parameters_that_it_is_for(tmp_path: Path) -> None:
    recipe = TinyRecipe(factors={"layer.bias": 0.1})
    before = weights(recipe.module)
    TrainingLoop(recipe, config(tmp_path, steps=1), ALONE).run()
    # The first step of Adam is the rate itself, up or down.
    moved = {name: (p - before[name]).abs() for name, p in weights(recipe.module).items()}
    torch.testing.assert_close(moved["layer.weight"], torch.full((1, 4), 0.1))
    torch.testing.assert_close(moved["layer.bias"], torch.full((1,), 0.01))


def test_muon_trains_the_parameters_that_it_is_asked_to(tmp_path: Path) -> None:
    recipe = TinyRecipe(factors={"layer.weight": 0.5}, muon=("layer.weight",))
    before = weights(recipe.module)
    TrainingLoop(recipe, config(tmp_path, steps=1), ALONE).run()
    moved = {
        name: (p - before[name]).square().mean().sqrt()
        for name, p in weights(recipe.module).items()
    }
    # Roughly 0.2 of half the rate, and all of the rate, which is Adam's first step.
    assert float(moved["layer.weight"]) == pytest.approx(0.01, rel=0.4)
    assert float(moved["layer.bias"]) == pytest.approx(0.1)


def test_the_log_has_one_header_and_every_tenth_step(tmp_path: Path) -> None:
    TrainingLoop(TinyRecipe(), config(tmp_path, steps=15), ALONE).run()
    TrainingLoop(TinyRecipe(), config(tmp_path, steps=25), ALONE).run()
    lines = (tmp_path / "log.csv").read_text().splitlines()
    rows = logged(tmp_path)
    assert lines[0] == "step,elapsed_s,learning_rate,loss,out,skipped"
    assert [row["step"] for row in rows] == ["1", "11", "21"]
    assert rows[0]["learning_rate"] == "1.000e-01"
    assert all(math.isfinite(float(value)) for row in rows for value in row.values())


def test_steps_that_are_taken_again_are_in_the_log_once(tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint.pt"
    TrainingLoop(TinyRecipe(), config(tmp_path, steps=15), ALONE).run()
    earlier = checkpoint.read_bytes()
    TrainingLoop(TinyRecipe(), config(tmp_path, steps=35), ALONE).run()
    whole = logged(tmp_path)
    checkpoint.write_bytes(earlier)  # as if the run had been killed at step 35
    TrainingLoop(TinyRecipe(), config(tmp_path, steps=25), ALONE).run()
    assert [row["step"] for row in whole] == ["1", "11", "21", "31"]
    assert [row["step"] for row in logged(tmp_path)] == ["1", "11", "21"]
    assert logged(tmp_path)[:2] == whole[:2]


@pytest.mark.parametrize("muon", [(), ("layer.weight",)], ids=["Adam", "Muon and Adam"])
def test_a_run_that_was_interrupted_ends_as_if_it_had_not_been(
    tmp_path: Path, muon: tuple[str, ...]
) -> None:
    def new_recipe() -> TinyRecipe:
        return TinyRecipe(factors={"layer.weight": 0.3}, muon=muon)

    whole = TrainingLoop(new_recipe(), config(tmp_path / "whole"), ALONE)
    expected = whole.run()
    settings = config(tmp_path / "parts", checkpoint_minutes=0)
    with pytest.raises(Interruption):
        TrainingLoop(new_recipe(), settings, ALONE, interrupt_at(4)).run()
    recipe = new_recipe()
    resumed = TrainingLoop(recipe, settings, ALONE)
    assert resumed.step == 3
    assert_equal(dict(resumed.run()), dict(expected))
    assert [step for step, _ in recipe.asked] == [3, 4, 5]
    assert_equal(weights(recipe.module), weights(whole.module))
    assert list(resumed.guard.norms) == list(whole.guard.norms)


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_what_was_trained_before_control_c_is_kept(
    tmp_path: Path, stop: type[BaseException]
) -> None:
    def stop_at_the_fifth_batch() -> None:
        if len(stopped.asked) == 4:
            raise stop

    expected = TrainingLoop(TinyRecipe(), config(tmp_path / "whole"), ALONE).run()
    stopped, recipe = TinyRecipe(tick=stop_at_the_fifth_batch), TinyRecipe()
    with pytest.raises(stop):
        TrainingLoop(stopped, config(tmp_path / "parts"), ALONE).run()
    resumed = TrainingLoop(recipe, config(tmp_path / "parts"), ALONE)
    assert resumed.step == 4
    assert_equal(dict(resumed.run()), dict(expected))
    assert [step for step, _ in recipe.asked] == [4, 5]


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
    ],
    ids=["GPU", "CPU"],
)
def test_a_step_that_memory_does_not_suffice_for_is_one_line(
    tmp_path: Path, error: Exception
) -> None:
    def refuse() -> None:
        raise error

    with pytest.raises(TrainingError, match=r"^out of memory\. hint: a smaller --batch"):
        TrainingLoop(TinyRecipe(tick=refuse), config(tmp_path), ALONE).run()


@pytest.mark.parametrize("place", ["run before its first step", "half of a step"])
def test_control_c_saves_nothing_but_whole_new_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    recipe = TinyRecipe(tick=stop) if place.startswith("run") else TinyRecipe()
    monkeypatch.setattr("torch._foreach_lerp_", stop)  # after the weights, before their average
    with pytest.raises(KeyboardInterrupt):
        TrainingLoop(recipe, config(tmp_path), ALONE).run()
    assert list(tmp_path.iterdir()) == []


def test_checkpoints_are_written_when_their_time_has_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, saved = Clock(), list[int]()
    monkeypatch.setattr("cdsrcodec.training.loop.time", clock)
    monkeypatch.setattr(
        "cdsrcodec.training.loop.write_checkpoint", lambda _, state: saved.append(state["step"])
    )
    settings = config(tmp_path, steps=10, checkpoint_minutes=0.05)
    TrainingLoop(TinyRecipe(tick=clock.tick), settings, ALONE).run()
    assert saved == [4, 8, 10]


def test_a_finished_run_is_not_trained_on(tmp_path: Path) -> None:
    expected = TrainingLoop(TinyRecipe(), config(tmp_path), ALONE).run()
    recipe = TinyRecipe()
    again = TrainingLoop(recipe, config(tmp_path), ALONE).run()
    assert recipe.asked == []
    assert_equal(dict(again), dict(expected))


@pytest.mark.parametrize(
    "other", [Objective(name="head"), Objective(width=5)], ids=["names", "shapes"]
)
def test_a_checkpoint_of_another_recipe_is_refused(tmp_path: Path, other: Objective) -> None:
    TrainingLoop(TinyRecipe(), config(tmp_path, steps=1), ALONE).run()
    with pytest.raises(TrainingError, match=r"checkpoint\.pt: .* another recipe\. hint: name"):
        TrainingLoop(TinyRecipe(other), config(tmp_path), ALONE)


@pytest.mark.parametrize(
    "other",
    [{"factors": {"layer.bias": 0.1}}, {"muon": ("layer.weight",)}],
    ids=["other rates", "other optimisers"],
)
def test_a_checkpoint_of_other_groups_is_refused(tmp_path: Path, other: dict[str, Any]) -> None:
    TrainingLoop(TinyRecipe(), config(tmp_path, steps=1), ALONE).run()
    with pytest.raises(TrainingError, match="another recipe"):
        TrainingLoop(TinyRecipe(**other), config(tmp_path), ALONE)


def test_a_run_goes_on_for_what_it_was_begun_alone(tmp_path: Path) -> None:
    TrainingLoop(TinyRecipe(), config(tmp_path, steps=1), ALONE).run()
    with pytest.raises(TrainingError, match=r"t\.pt: .* a run with colour red, not blue\. hint: "):
        TrainingLoop(TinyRecipe(colour="blue"), config(tmp_path), ALONE)
    assert TrainingLoop(TinyRecipe(), config(tmp_path), ALONE).step == 1


def test_a_checkpoint_of_a_version_that_stored_no_aim_goes_on(tmp_path: Path) -> None:
    TrainingLoop(TinyRecipe(), config(tmp_path, steps=1), ALONE).run()
    state = torch.load(tmp_path / "checkpoint.pt")
    del state["aim"]
    torch.save(state, tmp_path / "checkpoint.pt")
    assert TrainingLoop(TinyRecipe(), config(tmp_path), ALONE).step == 1


def test_a_checkpoint_that_holds_something_else_is_refused(tmp_path: Path) -> None:
    torch.save({"weights": torch.ones(3)}, tmp_path / "checkpoint.pt")
    with pytest.raises(TrainingError, match="another recipe"):
        TrainingLoop(TinyRecipe(), config(tmp_path), ALONE)


def test_an_output_that_is_a_file_is_refused_before_the_first_step(tmp_path: Path) -> None:
    (tmp_path / "run").touch()
    recipe = TinyRecipe()
    with pytest.raises(FileAccessError, match="run: cannot be made: File exists"):
        TrainingLoop(recipe, config(tmp_path / "run"), ALONE)
    assert recipe.asked == []


def test_other_ranks_write_and_report_nothing(tmp_path: Path) -> None:
    recipe, reports = TinyRecipe(), list[StepReport]()
    settings = config(tmp_path, checkpoint_minutes=0)
    TrainingLoop(recipe, settings, Group(CPU, rank=1), reports.append).run()
    assert recipe.asked == [(step, 1) for step in range(6)]
    assert reports == []
    assert list(tmp_path.iterdir()) == []


def test_noise_differs_between_ranks_and_steps(tmp_path: Path) -> None:
    seen = []
    for rank in (0, 1):
        module = Objective()
        module.register_forward_hook(lambda *_: seen.append(float(torch.rand(()))))
        settings = config(tmp_path / str(rank), steps=2)
        TrainingLoop(TinyRecipe(module), settings, Group(CPU, rank=rank)).run()
    assert len(set(seen)) == 4


@pytest.mark.parametrize(("precision", "dtype"), [("bf16", "bfloat16"), ("fp32", "float32")])
def test_bf16_multiplies_in_it_and_keeps_the_weights(
    tmp_path: Path, precision: str, dtype: str
) -> None:
    recipe = TinyRecipe()
    averaged = TrainingLoop(recipe, config(tmp_path, precision=precision), ALONE).run()
    assert recipe.module.out_dtype == getattr(torch, dtype)
    assert {tensor.dtype for tensor in averaged.values()} == {torch.float32}
    assert all(tensor.isfinite().all() for tensor in averaged.values())


def test_a_process_alone_wraps_and_asks_nobody() -> None:
    module = Objective()
    assert ALONE.wrap(module) is module
    assert ALONE.agree(0.7) == 0.7
