"""Where the seconds of a benchmark go: to the codecs, to the metrics, or to the harness."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Timing:
    """Seconds of the units that were measured in this run; resumed ones took none.

    Attributes:
        processes: that measured at the same time.
        units: measured in this run.
        wall_s: from the start of the run to its last unit; reports are written after it.
        codec_s: of all processes together: encoding, searches for direct coding included,
            decoding and enlarging.
        metrics_s: of all processes together: comparing pictures.
    """

    processes: int = 1
    units: int = 0
    wall_s: float = 0.0
    codec_s: float = 0.0
    metrics_s: float = 0.0

    def add(self, codec_s: float, metrics_s: float, wall_s: float) -> None:
        """Count a unit that was finished `wall_s` after the start of the run."""
        self.units += 1
        self.wall_s = wall_s
        self.codec_s += codec_s
        self.metrics_s += metrics_s

    @property
    def overhead_percent(self) -> float | None:
        """The rest, as a share of the processes' wall time; None where nothing was measured.

        Reading and reducing pictures, cut-outs, the journal, starting processes, loading
        libraries and weights, and processes that wait for the last one.
        """
        available_s = self.processes * self.wall_s
        if not self.units or not available_s:
            return None
        return 100 * (1 - (self.codec_s + self.metrics_s) / available_s)


def timing_line(timing: Timing) -> str:
    """The timing in words."""
    overhead_percent = timing.overhead_percent
    if overhead_percent is None:
        return "nothing was measured anew"
    available_s = timing.processes * timing.wall_s
    return (
        f"{timing.units} units in {timing.wall_s:.1f} s x {timing.processes}: "
        f"codecs {100 * timing.codec_s / available_s:.1f} %, "
        f"metrics {100 * timing.metrics_s / available_s:.1f} %, "
        f"harness {overhead_percent:.1f} %"
    )
