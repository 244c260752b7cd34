"""Small tables of every awkward kind, and random runs over tables."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from cdsrcodec.entropy import MAX_SYMBOL, TableSet

TOTAL = 1 << 24

# As arrays: symbols, and the table of each.
Run = tuple[NDArray[np.int32], NDArray[np.uint8]]


def _table_set(counts: list[list[int]], lows: list[int]) -> TableSet:
    return TableSet(
        np.concatenate([np.array(table, np.int32) for table in counts]),
        np.array([len(table) for table in counts], np.int32),
        np.array(lows, np.int32),
    )


@pytest.fixture(scope="session")
def table_set() -> Callable[[list[list[int]], list[int]], TableSet]:
    """Makes a TableSet of the counts of each table and its low."""
    return _table_set


@pytest.fixture(scope="session")
def tables() -> TableSet:
    """Five tables: nearly certain, even, one symbol only, broad and ragged, far from zero."""
    rng = np.random.default_rng(1)
    ragged = rng.integers(1, 20_000, 301)
    ragged[150] += TOTAL - ragged.sum()
    return _table_set(
        [
            [1, TOTAL - 3, 1, 1],
            [TOTAL // 4] * 4,
            [TOTAL - 1, 1],
            ragged.tolist(),
            [1000, TOTAL - 1001, 1],
        ],
        [-1, 5, 0, -150, -MAX_SYMBOL],
    )


@pytest.fixture(scope="session")
def random_run() -> Callable[[np.random.Generator, TableSet, int], Run]:
    """Draws a run of a length: symbols in and out of their tables, some at the very ends."""

    def draw(rng: np.random.Generator, tables: TableSet, length: int) -> Run:
        indexes = rng.integers(0, len(tables), length, np.uint8)
        inside = rng.integers(tables.lows[indexes], tables.highs[indexes] + 1)
        anywhere = rng.integers(-MAX_SYMBOL, MAX_SYMBOL + 1, length)
        ends = rng.choice([-MAX_SYMBOL, MAX_SYMBOL], length)
        kind = rng.choice(3, length, p=[0.8, 0.15, 0.05])
        return np.choose(kind, [inside, anywhere, ends]).astype(np.int32), indexes

    return draw
