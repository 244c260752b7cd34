"""What the training loop needs of a recipe, and what recipes have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from torch import nn

from cdsrcodec.errors import TrainingError


class Recipe(Protocol):
    """What the loop needs of a recipe."""

    @property
    def module(self) -> nn.Module:
        """forward(batch) -> (loss, metrics); its trainable parameters are trained."""

    @property
    def aim(self) -> dict[str, str]:
        """What the module is trained for, beyond its shapes: a run goes on with the same alone."""

    def batch(self, step: int, rank: int) -> object:
        """The batch of this step on this rank; depends on nothing else."""

    def rate_factor(self, name: str) -> float:
        """Factor on the learning rate of the parameter of this name in `module`."""

    def takes_muon(self, name: str) -> bool:
        """Whether Muon trains the parameter of this name in `module`; Adam does if not."""


class AdamAlone:
    """What recipes have in common that leave all parameters to Adam."""

    def rate_factor(self, name: str) -> float:
        """All parameters learn at one rate."""
        return 1.0

    def takes_muon(self, name: str) -> bool:
        """Adam trains all of it."""
        return False


def check_aim(checkpoint: Path, stored: dict[str, str], aim: dict[str, str]) -> None:
    """Refuse to go on with a run that was trained for something else.

    Args:
        checkpoint: that of the run.
        stored: the aim that it holds.
        aim: that of the recipe.

    Raises:
        TrainingError: they differ.
    """
    for name in aim:
        if stored.get(name) != aim[name]:
            raise TrainingError(
                f"{checkpoint}: the checkpoint is of a run with {name} {stored.get(name)}, not "
                f"{aim[name]}. hint: give it as then, or name another --output"
            )
