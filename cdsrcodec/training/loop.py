"""The training loop that all recipes share.

Schedule, averaging of weights, checkpoints, log, and several processes. A recipe
supplies a module whose forward returns the loss of a batch.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Adam

from cdsrcodec.errors import TrainingError
from cdsrcodec.imageio.folders import make_folder
from cdsrcodec.layers.memory import one_memory_error
from cdsrcodec.training.averaging import Averages
from cdsrcodec.training.distributed import Group
from cdsrcodec.training.gradient_guard import GradientGuard
from cdsrcodec.training.log import STEP, RunLog
from cdsrcodec.training.muon import Muon
from cdsrcodec.training.recipe import Recipe, check_aim
from cdsrcodec.training.storage import read_checkpoint, write_checkpoint

CHECKPOINT_NAME = "checkpoint.pt"
LOG_NAME = "log.csv"
LOG_STEPS = 10  # steps between rows of the log
OUT_OF_MEMORY = (
    "out of memory. hint: a smaller --batch or --patch needs less; the run goes on from its "
    "checkpoint where there is one"
)
OTHER_RECIPE = (
    "the checkpoint is of another recipe. hint: name another --output, or remove it to start anew"
)


@dataclass(frozen=True)
class LoopConfig:
    """Settings of one run. Either `minutes` or `steps` is the budget.

    Attributes:
        output: folder of the checkpoint and the log.
        minutes: wall-clock budget over all resumptions; the learning rate
            reaches zero at its end.
        steps: budget in steps instead; with it a run is reproducible.
        learning_rate: peak; cosine to zero over the budget.
        warmup_steps: linear start.
        ema_decay: of the averages that are exported, see averaging.
        checkpoint_minutes: interval of checkpoints.
        precision: "fp32", or "bf16" for autocast; layers.precision knows "auto".
        seed: of the noise that the module draws; patches are the recipe's.
    """

    output: Path
    minutes: float | None = None
    steps: int | None = None
    learning_rate: float = 2e-4
    warmup_steps: int = 200
    ema_decay: float = 0.999
    checkpoint_minutes: float = 10.0
    precision: str = "fp32"
    seed: int = 0


@dataclass(frozen=True)
class StepReport:
    """What a progress display may show after a step."""

    step: int
    progress: float
    elapsed_s: float
    learning_rate: float
    metrics: dict[str, float]


def learning_rate_factor(progress: float, step: int, warmup_steps: int) -> float:
    """Linear warm-up times a cosine from 1 to 0 over progress 0..1."""
    warmup = min(1.0, (step + 1) / max(1, warmup_steps))
    return warmup * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


def noise_seed(seed: int, step: int, rank: int) -> int:
    """A 32-bit seed of its own for each step and rank."""
    return int(np.random.SeedSequence([seed, step, rank]).generate_state(1)[0])


class TrainingLoop:
    """Runs a recipe to the end of its budget.

    Args:
        recipe: module and batches.
        config: settings.
        group: the processes that train together.
        on_step: called with a StepReport on rank 0 after each step.

    Raises:
        TrainingError: not just one budget is given, or the checkpoint is damaged, of another
            recipe or of a run with another aim.
        FileAccessError: the output cannot be written.
    """

    def __init__(
        self,
        recipe: Recipe,
        config: LoopConfig,
        group: Group,
        on_step: Callable[[StepReport], None] | None = None,
    ) -> None:
        if (config.minutes is None) == (config.steps is None):
            raise TrainingError("give either minutes or steps as the budget of a run")
        self.recipe, self.config, self.group, self.on_step = recipe, config, group, on_step
        self.module = recipe.module.to(group.device)
        self.trained = {n: p for n, p in self.module.named_parameters() if p.requires_grad}
        self.parameters = list(self.trained.values())
        self.optimizers = self._new_optimizers()
        self.averages = Averages(self.module)
        self.guard = GradientGuard()
        self.step = self._saved_step = 0
        self.elapsed_before_s = self._begin_s = 0.0
        self._is_whole = True  # no step is half done, which a checkpoint must not hold
        make_folder(config.output)
        self.log = RunLog(config.output / LOG_NAME)
        self.checkpoint_path = config.output / CHECKPOINT_NAME
        if self.checkpoint_path.exists():
            self._restore()

    def _new_optimizers(self) -> list[torch.optim.Optimizer]:
        groups: dict[bool, dict[float, list[nn.Parameter]]] = {}
        for name, parameter in self.trained.items():
            by_factor = groups.setdefault(self.recipe.takes_muon(name), {})
            by_factor.setdefault(self.recipe.rate_factor(name), []).append(parameter)
        optimizers: list[torch.optim.Optimizer] = []
        for is_muon, by_factor in sorted(groups.items()):
            members = [{"params": ps, "rate_factor": f} for f, ps in by_factor.items()]
            lr = self.config.learning_rate
            muon_or_adam = Muon(members, lr) if is_muon else Adam(members, lr, fused=True)
            optimizers.append(muon_or_adam)
        return optimizers

    @property
    def averaged_state(self) -> dict[str, Tensor]:
        """The module's state dict with the averages in place."""
        return dict(self.module.state_dict()) | self.averages.tensors

    def run(self) -> dict[str, Tensor]:
        """Train to the end of the budget; return the averaged state dict.

        An interruption or a signal leaves a checkpoint of the last whole step.

        Raises:
            TrainingError: memory runs out, also that of a GPU.
            FileAccessError: a checkpoint or the log cannot be written.
        """
        wrapped = self.group.wrap(self.module)
        self.module.train()
        self._begin_s = time.monotonic()
        try:
            with one_memory_error():
                self._train(wrapped)
        except MemoryError as error:
            raise TrainingError(OUT_OF_MEMORY) from error
        except Exception:
            raise
        except BaseException:
            if self._is_whole and self.step > self._saved_step:
                self._save(self._elapsed_s())
            raise
        self._save(self._elapsed_s())
        return self.averaged_state

    def _train(self, wrapped: nn.Module) -> None:
        saved_s = time.monotonic()
        while True:
            elapsed_s = self._elapsed_s()
            progress = self.group.agree(self._progress(elapsed_s))
            if progress >= 1:
                return
            rate = self._rate(progress)
            metrics = self._train_step(wrapped, rate)
            self.step += 1
            self._is_whole = True
            self._report(StepReport(self.step, progress, elapsed_s, rate, metrics))
            if time.monotonic() - saved_s > 60 * self.config.checkpoint_minutes:
                self._save(elapsed_s)
                saved_s = time.monotonic()

    def _elapsed_s(self) -> float:
        return self.elapsed_before_s + time.monotonic() - self._begin_s

    def _progress(self, elapsed_s: float) -> float:
        if self.config.steps is not None:
            return self.step / self.config.steps
        assert self.config.minutes is not None
        return elapsed_s / (60 * self.config.minutes)

    def _rate(self, progress: float) -> float:
        factor = learning_rate_factor(progress, self.step, self.config.warmup_steps)
        return self.config.learning_rate * factor

    def _train_step(self, wrapped: nn.Module, rate: float) -> dict[str, float]:
        for optimizer in self.optimizers:
            for parameter_group in optimizer.param_groups:
                parameter_group["lr"] = rate * parameter_group["rate_factor"]
        batch = self.recipe.batch(self.step, self.group.rank)
        use_bf16 = self.config.precision == "bf16"
        # Noise differs between ranks and steps, and is the same after a resume.
        torch.manual_seed(noise_seed(self.config.seed, self.step, self.group.rank))
        with torch.autocast(self.group.device.type, torch.bfloat16, enabled=use_bf16):
            loss, metrics = wrapped(batch)
        loss.backward()
        self._is_whole = False
        accepted = self.guard.accept(self.parameters)
        if accepted:
            for optimizer in self.optimizers:
                optimizer.step()
            self.averages.follow(min(self.config.ema_decay, (1 + self.step) / (10 + self.step)))
        else:
            self.averages.restore_statistics()
        self.module.zero_grad()
        metrics = {"loss": loss, **metrics}
        values = {name: float(value.detach()) for name, value in metrics.items()}
        return {**values, "skipped": float(not accepted)}

    def _report(self, report: StepReport) -> None:
        if self.group.rank != 0:
            return
        if self.on_step is not None:
            self.on_step(report)
        if report.step % LOG_STEPS == 1:
            row = {
                STEP: report.step,
                "elapsed_s": round(report.elapsed_s, 1),
                "learning_rate": f"{report.learning_rate:.3e}",
            }
            self.log.add(row | {name: f"{value:.5g}" for name, value in report.metrics.items()})

    def _save(self, elapsed_s: float) -> None:
        if self.group.rank != 0:
            return
        state = {
            "aim": self.recipe.aim,
            "module": self.module.state_dict(),
            "averages": self.averages.tensors,
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "norms": list(self.guard.norms),
            "step": self.step,
            "elapsed_s": elapsed_s,
        }
        write_checkpoint(self.checkpoint_path, state)
        self._saved_step = self.step

    def _restore(self) -> None:
        state = read_checkpoint(self.checkpoint_path, self.group.device)
        # Those of versions before 0.8.0 hold none.
        check_aim(self.checkpoint_path, state.get("aim", self.recipe.aim), self.recipe.aim)
        try:
            self.averages.load(state["averages"], state["module"])
            for optimizer, stored in zip(self.optimizers, state["optimizers"], strict=True):
                optimizer.load_state_dict(stored)  # ValueError: other groups of learning rates
            self.module.load_state_dict(state["module"])  # RuntimeError: other frozen networks
        except (KeyError, ValueError, RuntimeError) as error:
            raise TrainingError(f"{self.checkpoint_path}: {OTHER_RECIPE}") from error
        self.guard = GradientGuard(state["norms"])
        self.step = self._saved_step = state["step"]
        self.elapsed_before_s = state["elapsed_s"]
        if self.group.rank == 0:
            self.log.forget_after(self.step)
