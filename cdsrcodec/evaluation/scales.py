"""The scale of quality that each codec has."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """The qualities of a codec, smallest files first: a grid, and the default rungs on it."""

    lowest: float
    highest: float
    step: float
    ladder: tuple[float, ...]
