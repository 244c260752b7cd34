"""Frozen integer frequency tables.

A table gives each integer symbol low..high a count of at least 1, and one more
count to the escape that stands for all others; the counts of a table sum to
2^24. Tables are made once, in float64, when a model is exported; from then on
they are data: stored, hashed, never computed again, because another libm or
another order of additions would move a count and ruin every stream.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import constriction
import numpy as np
from numpy.typing import NDArray

TOTAL = 1 << 24
"""Sum of the counts of every table: constriction's default 24 bits of precision."""


@dataclass(frozen=True)
class TableSet:
    """Up to 256 tables, stored end to end.

    Attributes:
        counts: (sum of lengths,) int32, each at least 1; the last one of every table
            is the escape's.
        lengths: (T,) int32, entries of each table with its escape.
        lows: (T,) int32, symbol of each table's first entry.

    Raises:
        ValueError: the arrays are not valid tables.
    """

    counts: NDArray[np.int32]
    lengths: NDArray[np.int32]
    lows: NDArray[np.int32]
    _models: dict[int, constriction.stream.model.Categorical] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        if len(self.lengths) != len(self.lows) or int(self.lengths.sum()) != len(self.counts):
            raise ValueError("lengths, lows and counts of a table set do not fit together")
        if not 1 <= len(self.lengths) <= 256:
            raise ValueError("a table set holds 1 to 256 tables, so that indexes fit uint8")
        if self.lengths.min() < 2 or self.counts.min() < 1:
            raise ValueError(
                "a table needs a symbol and the escape, each with a count of 1 or more"
            )
        if (np.add.reduceat(self.counts.astype(np.int64), self._starts) != TOTAL).any():
            raise ValueError(f"the counts of a table must sum to {TOTAL}")

    @classmethod
    def from_probabilities(
        cls, probabilities: Sequence[NDArray[np.float64]], lows: Sequence[int]
    ) -> TableSet:
        """Quantise probabilities (symbols, then escape, each table summing to about 1)."""
        counts = [_to_counts(p) for p in probabilities]
        return cls(
            np.concatenate(counts),
            np.array([len(c) for c in counts], np.int32),
            np.array(lows, np.int32),
        )

    def __len__(self) -> int:
        return len(self.lengths)

    @cached_property
    def _starts(self) -> NDArray[np.int64]:
        return np.concatenate([[0], np.cumsum(self.lengths)[:-1]]).astype(np.int64)

    @cached_property
    def highs(self) -> NDArray[np.int32]:
        """(T,) int32, the largest symbol of each table that needs no escape."""
        return (self.lows + self.lengths - 2).astype(np.int32)

    def table(self, index: int) -> NDArray[np.int32]:
        """Counts of one table, a view."""
        start = int(self._starts[index])
        return self.counts[start : start + int(self.lengths[index])]

    def model(self, index: int) -> constriction.stream.model.Categorical:
        """Constriction's model of one table, whose slots are symbol - low, escape last.

        With perfect=False constriction gives slot i the weight p_i * s + 1, where s
        scales the sum of p to 2^24 less the number of slots. The sum of counts - 1 is
        just that, so s = 1 and the counts come through unchanged.
        """
        if index not in self._models:
            weights = (self.table(index) - 1).astype(np.float64)
            self._models[index] = constriction.stream.model.Categorical(weights, perfect=False)
        return self._models[index]

    def entries(self, symbols: NDArray[np.int32], indexes: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Where in `counts` each symbol is, or its escape.

        Args:
            symbols: (n,).
            indexes: (n,) table of each symbol.
        """
        lows, lengths = self.lows[indexes], self.lengths[indexes]
        slots = symbols - lows
        slots = np.where((slots < 0) | (slots >= lengths), lengths - 1, slots)
        entries: NDArray[np.int64] = self._starts[indexes] + slots
        return entries

    def bits(self, symbols: NDArray[np.int32], indexes: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Ideal code length of each symbol in bits; an escaped one costs the escape alone.

        Args:
            symbols: (n,).
            indexes: (n,) table of each symbol.
        """
        bits: NDArray[np.float64] = self._costs[self.entries(symbols, indexes)]
        return bits

    @cached_property
    def _costs(self) -> NDArray[np.float64]:
        costs: NDArray[np.float64] = np.log2(TOTAL / self.counts)
        return costs


def _to_counts(probabilities: NDArray[np.float64]) -> NDArray[np.int32]:
    free = TOTAL - len(probabilities)
    counts = 1 + np.floor(probabilities / probabilities.sum() * free).astype(np.int64)
    counts[np.argmax(counts)] += TOTAL - counts.sum()
    quantised: NDArray[np.int32] = counts.astype(np.int32)
    return quantised
