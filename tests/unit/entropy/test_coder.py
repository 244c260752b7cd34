from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from cdsrcodec.entropy import MAX_SYMBOL, SymbolReader, SymbolWriter, TableSet
from cdsrcodec.errors import DesyncError

Run = tuple[NDArray[np.int32], NDArray[np.uint8]]
MakeRun = Callable[[np.random.Generator, TableSet, int], Run]

# Near zero, where the tables are; at their ends; and as far out as symbols go.
SYMBOLS = st.one_of(
    st.integers(-9, 9),
    st.integers(-MAX_SYMBOL, MAX_SYMBOL),
    st.sampled_from([-MAX_SYMBOL, -MAX_SYMBOL + 2, -151, -150, 149, 150, MAX_SYMBOL]),
)
RUNS = st.lists(st.lists(st.tuples(SYMBOLS, st.integers(0, 4)), max_size=40), max_size=5)


def arrays_of(pairs: list[tuple[int, int]]) -> Run:
    symbols, indexes = np.array(pairs, np.int64).reshape(-1, 2).T
    return symbols.astype(np.int32), indexes.astype(np.uint8)


def write(runs: list[Run], tables: TableSet) -> bytes:
    writer = SymbolWriter()
    for symbols, indexes in runs:
        writer.add(symbols, indexes, tables)
    return writer.payload()


def read_all(payload: bytes, runs: list[Run], tables: TableSet) -> list[NDArray[np.int32]]:
    reader = SymbolReader(payload)
    symbols = [reader.read(indexes, tables) for _, indexes in runs]
    reader.finish()
    return symbols


@settings(deadline=None)  # other processes may hold the machine
@given(pairs=RUNS)
def test_runs_come_back_in_order_with_nothing_left_over(
    tables: TableSet, pairs: list[list[tuple[int, int]]]
) -> None:
    runs = [arrays_of(run) for run in pairs]
    payload = write(runs, tables)
    assert len(payload) % 4 == 0
    decoded = read_all(payload, runs, tables)
    assert [run.tolist() for run in decoded] == [symbols.tolist() for symbols, _ in runs]
    assert all(run.dtype == np.int32 for run in decoded)


def test_runs_may_use_different_table_sets(tables: TableSet) -> None:
    other = TableSet.from_probabilities([np.array([0.1, 0.8, 0.1])], [-1])
    writer = SymbolWriter()
    writer.add(np.array([0, -1, 9], np.int32), np.zeros(3, np.uint8), other)
    writer.add(np.array([6, 0], np.int32), np.array([1, 2], np.uint8), tables)
    reader = SymbolReader(writer.payload())
    assert reader.read(np.zeros(3, np.uint8), other).tolist() == [0, -1, 9]
    assert reader.read(np.array([1, 2], np.uint8), tables).tolist() == [6, 0]
    reader.finish()


def test_size_is_that_of_the_ideal_code(tables: TableSet, random_run: MakeRun) -> None:
    rng = np.random.default_rng(4)
    symbols, indexes = random_run(rng, tables, 20_000)
    inside = (symbols >= tables.lows[indexes]) & (symbols <= tables.highs[indexes])
    symbols, indexes = symbols[inside], indexes[inside]
    payload_bits = 8 * len(write([(symbols, indexes)], tables))
    ideal_bits = float(tables.bits(symbols, indexes).sum())
    assert 0 <= payload_bits - ideal_bits < 0.0001 * ideal_bits + 64


def test_no_symbols_take_no_bytes(tables: TableSet) -> None:
    nothing = (np.empty(0, np.int32), np.empty(0, np.uint8))
    assert write([], tables) == b""
    assert write([nothing, nothing], tables) == b""
    assert [run.shape for run in read_all(b"", [nothing], tables)] == [(0,)]


@pytest.mark.parametrize(
    ("symbols", "indexes", "message"),
    [
        ([0, 0], [0], "one length"),
        ([[0]], [[0]], "flat"),
        ([MAX_SYMBOL + 1], [0], "beyond"),
        ([-MAX_SYMBOL - 1], [0], "beyond"),
        ([-(2**31)], [0], "beyond"),
        ([0, 0], [5, 0], "out of range"),
    ],
)
def test_a_run_that_cannot_be_coded_is_refused(
    tables: TableSet, symbols: list[int], indexes: list[int], message: str
) -> None:
    writer = SymbolWriter()
    with pytest.raises(ValueError, match=message):
        writer.add(np.array(symbols, np.int32), np.array(indexes, np.uint8), tables)
    assert writer.payload() == b""


def test_words_left_over_are_a_desync(tables: TableSet, random_run: MakeRun) -> None:
    symbols, indexes = random_run(np.random.default_rng(5), tables, 50)
    reader = SymbolReader(write([(symbols, indexes)], tables))
    reader.read(indexes[:-1], tables)
    with pytest.raises(DesyncError, match="left over"):
        reader.finish()


def test_a_last_word_of_zero_is_a_desync() -> None:
    with pytest.raises(DesyncError, match="impossible word"):
        SymbolReader(b"\x01\x00\x00\x00" + bytes(4))


def test_an_escape_beyond_the_largest_symbol_is_a_desync(
    table_set: Callable[[list[list[int]], list[int]], TableSet],
) -> None:
    # Written over a table whose last symbol is 0, read over one whose last is 32767.
    half = 1 << 23
    near, far = table_set([[half, half]], [0]), table_set([[half, half]], [MAX_SYMBOL])
    payload = write([(np.array([1], np.int32), np.array([0], np.uint8))], near)
    with pytest.raises(DesyncError, match="out of range"):
        SymbolReader(payload).read(np.array([0], np.uint8), far)


def outcome_of(payload: bytes, indexes: NDArray[np.uint8], tables: TableSet) -> int | None:
    """Largest |symbol| that was read, or None for a desync; anything else is for the caller."""
    try:
        reader = SymbolReader(payload)
        symbols = reader.read(indexes, tables)
        reader.finish()
    except DesyncError:
        return None
    return int(np.abs(symbols).max())


def test_garbage_ends_in_a_desync_or_in_symbols_soon(tables: TableSet) -> None:
    # constriction panics with a BaseException of its own on what it holds to be a bug of
    # its caller; any such exception would fail this test.
    rng = np.random.default_rng(6)
    begin_s = time.perf_counter()
    outcomes = []
    for trial in range(400):
        payload = rng.integers(0, 2**32, trial % 40, np.uint32).astype("<u4").tobytes()
        if trial % 7 == 0:
            payload += bytes(4)
        if trial % 5 == 0:
            payload = b"\xff" * len(payload)
        outcomes.append(outcome_of(payload, rng.integers(0, len(tables), 300, np.uint8), tables))
    assert time.perf_counter() - begin_s < 20
    assert len(outcomes) == 400
    assert all(largest is None or largest <= MAX_SYMBOL for largest in outcomes)
    assert outcomes.count(None) > 200
    assert outcomes.count(None) < 400


def test_reading_on_after_the_end_gives_symbols_of_the_tables(tables: TableSet) -> None:
    reader = SymbolReader(b"")
    indexes = (np.arange(1000) % len(tables)).astype(np.uint8)
    assert (reader.read(indexes, tables) == tables.lows[indexes]).all()
    reader.finish()
