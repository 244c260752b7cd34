"""What a run exports in the place of its last weights: their averages over its steps."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


class Averages:
    """Exponential averages of the trained parameters, and of the statistics that go with them.

    What batch normalisation remembers of its input fits the weights before it, so averaged
    weights need averaged statistics. All other buffers are constants, counters, or coding tables
    that are made at export; they are left alone.

    Args:
        module: on its device. Its tensors stay the same objects while it is trained.

    Attributes:
        tensors: the averages, by the names that `module.state_dict()` has for what they are of.
    """

    def __init__(self, module: nn.Module) -> None:
        trained = {name: p.detach() for name, p in module.named_parameters() if p.requires_grad}
        self._statistics = _statistics_of(module)
        self._current = trained | self._statistics
        self.tensors = {name: tensor.clone() for name, tensor in self._current.items()}

    def follow(self, decay: float) -> None:
        """Keep `decay` of the averages, and take the rest from the module as it is now."""
        averages, current = list(self.tensors.values()), list(self._current.values())
        torch._foreach_lerp_(averages, current, 1 - decay)

    def restore_statistics(self) -> None:
        """Give the module its averaged statistics.

        For a step that is skipped: what its batch has left in the module's own may be no numbers.
        """
        for name, statistic in self._statistics.items():
            statistic.copy_(self.tensors[name])

    def load(self, stored: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> None:
        """Go on from the `tensors` of a checkpoint.

        Args:
            stored: the tensors. Up to version 0.6.0 they have no statistics, whose averages then
                begin at what the module had.
            state: of the module in that checkpoint.

        Raises:
            KeyError, ValueError: they are of another module.
        """
        stored = {name: state[name] for name in self._statistics} | dict(stored)
        shapes = {name: tensor.shape for name, tensor in stored.items()}
        if shapes != {name: tensor.shape for name, tensor in self.tensors.items()}:
            raise ValueError("averages of other tensors")
        for name, average in self.tensors.items():
            average.copy_(stored[name])


def _statistics_of(module: nn.Module) -> dict[str, Tensor]:
    """Running means and variances, without the counters of batches, by name."""
    return {
        f"{prefix}.{name}": buffer
        for prefix, layer in module.named_modules()
        if isinstance(layer, nn.BatchNorm2d)
        for name, buffer in layer.named_buffers()
        if buffer.is_floating_point()
    }
