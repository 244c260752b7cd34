"""Muon: momentum whose step is orthogonalised, for the weights of hidden convolutions."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

MOMENTUM = 0.95
ITERATIONS = 5
# Quintic Newton-Schulz step whose slope at zero is as steep as stability allows.
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
# Gives steps the size of Adam's, so that both take the same learning rate.
RMS_OF_STEP = 0.2


def orthogonalised(matrices: Tensor) -> Tensor:
    """The nearest matrices with orthonormal rows (or columns), roughly.

    Singular values end between about 0.7 and 1.2, which serves an optimiser as well as 1.

    Args:
        matrices: (..., rows, columns), each of any size but zero.
    """
    a, b, c = COEFFICIENTS
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if tall else matrices
    x = x / (torch.linalg.matrix_norm(x, keepdim=True) + 1e-12)
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    result: Tensor = x.mT if tall else x
    return result


class Muon(torch.optim.Optimizer):
    """Orthogonalised Nesterov momentum for convolution weights (out, in, kh, kw).

    Each weight counts as a matrix of out rows. A step has the RMS 0.2 * lr in each
    of its elements, whatever the size of the gradient.

    Args:
        params: parameters or groups of them, all of two or more dimensions.
        lr: learning rate.

    Source: Jordan et al. 2024, kellerjordan.github.io/posts/muon; the size of the step is
    that of Liu et al. 2025, arXiv:2502.16982. torch.optim.Muon does the same for matrices
    but refuses the four dimensions of a convolution.
    """

    def __init__(self, params: Iterable[Any], lr: float) -> None:
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Change every parameter that has a gradient; `closure` is not supported."""
        assert closure is None
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.add_(self._direction(parameter), alpha=-group["lr"])

    def _direction(self, parameter: Tensor) -> Tensor:
        gradient = parameter.grad
        assert gradient is not None
        state = self.state[parameter]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(gradient)
        momentum: Tensor = state["momentum"].lerp_(gradient, 1 - MOMENTUM)
        matrix = gradient.lerp(momentum, MOMENTUM).flatten(1)
        scale = RMS_OF_STEP * math.sqrt(max(matrix.shape))
        return (scale * orthogonalised(matrix)).view_as(parameter)
