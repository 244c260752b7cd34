"""Where the seconds of a benchmark go: codecs, metrics, loading, or the harness itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple


class Spent(NamedTuple):
    """Seconds that a unit took, by what for; the harness had the rest of its time.

    Attributes:
        codec_s: encoding, searches for direct coding included, decoding and enlarging.
        metrics_s: comparing pictures.
        loading_s: libraries and weights, once a process.
    """

    codec_s: float = 0.0
    metrics_s: float = 0.0
    loading_s: float = 0.0


@dataclass
class Timing:
    """Seconds of the units that were measured in this run; resumed ones took none.

    Attributes:
        processes: that measured at the same time.
        units: measured in this run.
        wall_s: from the start of the run to its last unit; reports are written after it.
        spent: of all units and processes together.
    """

    processes: int = 1
    units: int = 0
    wall_s: float = 0.0
    spent: Spent = field(default_factory=Spent)

    def add(self, spent: Spent, wall_s: float) -> None:
        """Count a unit that was finished `wall_s` after the start of the run."""
        self.units += 1
        self.wall_s = wall_s
        self.spent = Spent(*map(sum, zip(self.spent, spent, strict=True)))

    def shares_percent(self) -> dict[str, float]:
        """Of the processes' wall time, for codecs, metrics, loading and harness.

        The harness has the rest: reading and reducing pictures, cut-outs, the journal,
        starting processes, and processes that wait for the last one. Empty where nothing was
        measured.
        """
        available_s = self.processes * self.wall_s
        if not self.units or not available_s:
            return {}
        names = ("codecs", "metrics", "loading")
        shares = {
            name: 100 * spent_s / available_s
            for name, spent_s in zip(names, self.spent, strict=True)
        }
        return {**shares, "harness": 100 - sum(shares.values())}


def timing_line(timing: Timing) -> str:
    """The timing in words."""
    shares = timing.shares_percent()
    if not shares:
        return "nothing was measured anew"
    text = ", ".join(f"{name} {percent:.1f} %" for name, percent in shares.items())
    return f"{timing.units} units in {timing.wall_s:.1f} s x {timing.processes}: {text}"
