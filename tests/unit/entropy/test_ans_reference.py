"""The coder against an ANS coder in plain Python integers, written from docs/format.md.

That the reference decodes what the writer wrote, from the counts themselves, proves
that constriction takes exactly our counts, and pins the words that a file holds.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file

import cdsrcodec
from cdsrcodec.entropy import SymbolReader, SymbolWriter, TableSet

TOTAL = 1 << 24
GOLDEN_PAYLOAD = "ffff2f66 19008fb5 04806201"
ENTROPY_FILE = Path(cdsrcodec.__file__).parent / "weights" / "cdsr1" / "entropy.safetensors"

Run = tuple[Sequence[int], Sequence[int]]
MakeTables = Callable[[list[list[int]], list[int]], TableSet]


class AnsStack:
    """Range ANS: 32-bit words, a state below 2^64, frequencies of 24 bits."""

    def __init__(self, payload: bytes = b"") -> None:
        self.words = list(struct.unpack(f"<{len(payload) // 4}I", payload))
        self.state = 0
        self._refill()

    def _refill(self) -> None:
        while self.state < 1 << 32 and self.words:
            self.state = self.state << 32 | self.words.pop()

    def push(self, start: int, count: int) -> None:
        """Code the interval start, start + 1, ... start + count - 1 of 0..2^24-1."""
        if self.state >> 40 >= count:
            self.words.append(self.state & 0xFFFF_FFFF)
            self.state >>= 32
        self.state = (self.state // count) * TOTAL + start + self.state % count

    def pop(self, starts: Sequence[int]) -> int:
        """Which interval comes next; starts has its first element 0 and a last one of 2^24."""
        position = self.state % TOTAL
        slot = bisect_right(starts, position) - 1
        count = starts[slot + 1] - starts[slot]
        self.state = (self.state // TOTAL) * count + position - starts[slot]
        self._refill()
        return slot

    def pop_bits(self, bits: int) -> int:
        step = TOTAL >> bits
        return self.pop(range(0, TOTAL + 1, step))

    def payload(self) -> bytes:
        words, state = list(self.words), self.state
        while state:
            words.append(state & 0xFFFF_FFFF)
            state >>= 32
        return struct.pack(f"<{len(words)}I", *words)


def starts_of(tables: TableSet) -> list[list[int]]:
    """The running sums of the counts of every table, from 0 to 2^24."""
    return [[0, *accumulate(tables.table(i).tolist())] for i in range(len(tables))]


def read_run(stack: AnsStack, indexes: Sequence[int], tables: TableSet) -> list[int]:
    """A run as docs/format.md tells it: groups by table, then signs, lengths, low bits."""
    starts = starts_of(tables)
    symbols, escaped = [0] * len(indexes), []
    for at in sorted(range(len(indexes)), key=lambda at: indexes[at]):
        index = indexes[at]
        slot = stack.pop(starts[index])
        symbols[at] = int(tables.lows[index]) + slot
        if slot == len(starts[index]) - 2:
            escaped.append(at)
    escaped.sort()
    above = {at: stack.pop_bits(1) for at in escaped}
    lengths = {at: stack.pop_bits(4) + 1 for at in escaped}
    for length in range(1, 17):
        for at in (at for at in escaped if lengths[at] == length):
            excess = (1 << length - 1) + (stack.pop_bits(length - 1) if length > 1 else 0)
            low = int(tables.lows[indexes[at]])
            high = low + len(starts[indexes[at]]) - 3
            symbols[at] = high + excess if above[at] else low - excess
    return symbols


def write(runs: list[Run], tables: TableSet) -> bytes:
    writer = SymbolWriter()
    for symbols, indexes in runs:
        writer.add(np.array(symbols, np.int32), np.array(indexes, np.uint8), tables)
    return writer.payload()


def read_by_reference(payload: bytes, runs: list[Run], tables: TableSet) -> list[list[int]]:
    stack = AnsStack(payload)
    symbols = [read_run(stack, indexes, tables) for _, indexes in runs]
    assert stack.state == 0, "the stack is empty after the last symbol"
    return symbols


def test_reference_reads_random_runs(
    tables: TableSet, random_run: Callable[..., tuple[NDArray[np.int32], NDArray[np.uint8]]]
) -> None:
    rng = np.random.default_rng(2)
    drawn = [random_run(rng, tables, length) for length in (0, 1, 2000, 3, 0, 500)]
    runs = [(symbols.tolist(), indexes.tolist()) for symbols, indexes in drawn]
    assert read_by_reference(write(runs, tables), runs, tables) == [list(s) for s, _ in runs]


@pytest.mark.parametrize("prefix", ["gaussian", "z"])
def test_reference_reads_every_slot_of_every_table_that_is_shipped(prefix: str) -> None:
    arrays = load_file(ENTROPY_FILE)
    tables = TableSet(*(arrays[f"{prefix}.{name}"] for name in ("counts", "lengths", "lows")))
    indexes = np.repeat(np.arange(len(tables)), tables.lengths)
    slots = np.concatenate([np.arange(length) for length in tables.lengths])
    # The last slot is the escape: the symbol after the highest one takes it.
    runs: list[Run] = [((tables.lows[indexes] + slots).tolist(), indexes.tolist())]
    symbols = read_by_reference(write(runs, tables), runs, tables)[0]
    assert len(symbols) == len(tables.counts)
    assert symbols == list(runs[0][0])


def test_words_without_escapes_are_those_of_the_reference(tables: TableSet) -> None:
    rng = np.random.default_rng(3)
    indexes = np.sort(rng.integers(0, len(tables), 300))  # sorted: already in coding order
    symbols = rng.integers(tables.lows[indexes], tables.highs[indexes] + 1)
    starts = starts_of(tables)
    stack = AnsStack()
    for symbol, index in zip(symbols[::-1].tolist(), indexes[::-1].tolist(), strict=True):
        slot = symbol - int(tables.lows[index])
        stack.push(starts[index][slot], starts[index][slot + 1] - starts[index][slot])
    assert write([(symbols.tolist(), indexes.tolist())], tables) == stack.payload()


def test_small_payload_is_these_bytes(table_set: MakeTables) -> None:
    half = TOTAL // 2
    tables = table_set([[half, half // 2, half // 2], [TOTAL - 3, 1, 1, 1]], [-1, 0])
    runs: list[Run] = [([0, -1, 0, 2, -5, 0], [0, 0, 1, 1, 0, 0]), ([], []), ([300], [1])]
    payload = write(runs, tables)
    assert payload.hex(" ", 4) == GOLDEN_PAYLOAD
    assert read_by_reference(payload, runs, tables) == [list(symbols) for symbols, _ in runs]
    reader = SymbolReader(payload)
    for symbols, indexes in runs:
        assert reader.read(np.array(indexes, np.uint8), tables).tolist() == list(symbols)
    reader.finish()
