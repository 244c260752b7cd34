from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cdsrcodec.entropy import TableSet

TOTAL = 1 << 24
MakeTables = Callable[[list[list[int]], list[int]], TableSet]

WEIGHTS = st.lists(st.floats(0, 1e6), min_size=2, max_size=400).filter(lambda w: sum(w) > 1e-6)


def test_a_table_set_gives_back_its_tables(table_set: MakeTables) -> None:
    tables = table_set([[TOTAL - 1, 1], [5, TOTAL - 8, 2, 1]], [7, -1])
    assert len(tables) == 2
    assert tables.table(0).tolist() == [TOTAL - 1, 1]
    assert tables.table(1).tolist() == [5, TOTAL - 8, 2, 1]
    # The last entry of a table is the escape: it has no symbol of its own.
    assert tables.highs.tolist() == [7, 1]


@pytest.mark.parametrize(
    ("counts", "lows"),
    [
        ([[TOTAL - 1, 1]], [0, 0]),
        ([[TOTAL]], [0]),
        ([[TOTAL, 0]], [0]),
        ([[TOTAL + 1, -1]], [0]),
        ([[TOTAL - 1, 2]], [0]),
        ([[TOTAL - 2, 1]], [0]),
        # The right total over both tables, but in neither of them.
        ([[TOTAL, 1], [TOTAL - 2, 1]], [0, 0]),
    ],
    ids=["a low too many", "no escape", "zero", "negative", "too much", "too little", "uneven"],
)
def test_counts_that_are_no_tables_are_refused(
    table_set: MakeTables, counts: list[list[int]], lows: list[int]
) -> None:
    with pytest.raises(ValueError, match=r"fit together|count of 1 or more|must sum to 16777216"):
        table_set(counts, lows)


@pytest.mark.parametrize("count", [0, 257])
def test_no_tables_or_more_than_a_byte_can_number_are_refused(count: int) -> None:
    counts, lengths = np.array([TOTAL - 1, 1] * count, np.int32), np.full(count, 2, np.int32)
    with pytest.raises(ValueError, match="1 to 256 tables"):
        TableSet(counts, lengths, np.zeros(count, np.int32))


def test_lengths_that_do_not_cover_the_counts_are_refused() -> None:
    counts, lows = np.array([TOTAL - 1, 1], np.int32), np.array([0], np.int32)
    with pytest.raises(ValueError, match="do not fit together"):
        TableSet(counts, np.array([3], np.int32), lows)


@settings(deadline=None)  # other processes may hold the machine
@given(st.lists(WEIGHTS, min_size=1, max_size=4))
def test_any_probabilities_become_counts_that_sum_to_two_to_the_24(
    weights: list[list[float]],
) -> None:
    tables = TableSet.from_probabilities([np.array(w) for w in weights], [-3] * len(weights))
    assert tables.lengths.tolist() == [len(w) for w in weights]
    for index, table_weights in enumerate(weights):
        counts = tables.table(index)
        assert counts.sum(dtype=np.int64) == TOTAL
        assert counts.min() >= 1
        ideal = np.array(table_weights) / sum(table_weights) * TOTAL
        # One count is given to each entry, and what is left over goes to the largest.
        assert np.abs(counts - ideal).max() <= 2 * len(table_weights)


def test_probabilities_are_quantised_to_these_counts() -> None:
    tables = TableSet.from_probabilities([np.array([0.25, 0.5, 0.25, 0.0])], [-1])
    # 1 + floor(p * (2^24 - 4)), and the last count of rounding for the most probable entry.
    assert tables.table(0).tolist() == [4194304, 8388607, 4194304, 1]


def test_bits_are_minus_log2_of_the_frequency(tables: TableSet) -> None:
    for index in range(len(tables)):
        counts, low = tables.table(index).tolist(), int(tables.lows[index])
        symbols = np.arange(low, low + len(counts) - 1, dtype=np.int32)
        bits = tables.bits(symbols, np.full(len(symbols), index, np.uint8))
        expected = [-math.log2(count / TOTAL) for count in counts[:-1]]
        assert bits == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_a_symbol_outside_its_table_costs_the_bits_of_the_escape(tables: TableSet) -> None:
    outside = np.array([-2, 2, 32767, -32767, 4, 8, 1, -32765], np.int32)
    indexes = np.array([0, 0, 0, 0, 1, 1, 2, 4], np.uint8)
    assert ((outside < tables.lows[indexes]) | (outside > tables.highs[indexes])).all()
    expected = [-math.log2(tables.table(int(index))[-1] / TOTAL) for index in indexes]
    assert tables.bits(outside, indexes) == pytest.approx(expected, rel=1e-12)


def test_bits_of_no_symbols_are_none(tables: TableSet) -> None:
    assert tables.bits(np.empty(0, np.int32), np.empty(0, np.uint8)).shape == (0,)
