"""Gradients kept from doing harm: clipped, and steps with a spike dropped."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from statistics import median

import torch
from torch import nn


class GradientGuard:
    """Clips gradients to norm 1 and drops the steps whose norm is a spike.

    A spike is 8 times the median norm of the last 100 steps: single
    patches cause them, and Adam's second moment would remember them for long.
    """

    def __init__(self, norms: Iterable[float] = ()) -> None:
        self.norms: deque[float] = deque(norms, maxlen=100)

    def accept(self, parameters: list[nn.Parameter]) -> bool:
        """Clip in place; False if the step is to be skipped."""
        norm = float(torch.nn.utils.clip_grad_norm_(parameters, 1.0))
        if not math.isfinite(norm):
            return False
        limit = 8 * median(self.norms) if len(self.norms) >= 20 else math.inf
        # A spike counts as the limit, so that a lasting rise is let through in time.
        self.norms.append(min(norm, limit))
        return norm <= limit
