"""Symbols to 32-bit ANS words and back, through the frozen tables.

One asymmetric-numeral-systems stack holds a whole file (constriction's AnsCoder).
A run is a batch of symbols with a table index each. Within a run the symbols are
grouped by table, so that a run takes at most one vectorised call a table instead
of a Python loop over symbols. ANS is last in, first out: the writer pushes all runs in
reverse, the reader pops them in order.
"""

from __future__ import annotations

import constriction
import numpy as np
from numpy.typing import NDArray

from cdsrcodec.entropy.tables import TableSet
from cdsrcodec.errors import DesyncError

MAX_SYMBOL = 32767
"""Bound of |symbol|: the checksum and the integer networks count on it."""

# An escaped symbol lies outside its table by excess + 1 on one side: a sign, the bit
# length of excess + 1 (1 to 16), then its bits below the leading one (Exp-Golomb order 0).
_MAX_LENGTH = 16
_SIGN = constriction.stream.model.Uniform(2)
_LENGTH = constriction.stream.model.Uniform(_MAX_LENGTH)


class SymbolWriter:
    """Collects runs, then codes them."""

    def __init__(self) -> None:
        self._runs: list[tuple[NDArray[np.int32], NDArray[np.uint8], TableSet]] = []

    def add(self, symbols: NDArray[np.int32], indexes: NDArray[np.uint8], tables: TableSet) -> None:
        """Append a run.

        Args:
            symbols: (n,) int32 within +-MAX_SYMBOL.
            indexes: (n,) uint8, table of each symbol.
            tables: the tables that indexes points into.

        Raises:
            ValueError: a symbol or an index is out of range.
        """
        if symbols.shape != indexes.shape or symbols.ndim != 1:
            raise ValueError("symbols and indexes must be flat and of one length")
        if len(symbols) and not -MAX_SYMBOL <= symbols.min() <= symbols.max() <= MAX_SYMBOL:
            raise ValueError(f"a symbol is beyond +-{MAX_SYMBOL}")
        if len(indexes) and indexes.max() >= len(tables):
            raise ValueError("a table index is out of range")
        self._runs.append((symbols, indexes, tables))

    def payload(self) -> bytes:
        """The words of all runs, little-endian."""
        coder = constriction.stream.stack.AnsCoder()
        for symbols, indexes, tables in reversed(self._runs):
            _push_run(coder, symbols, indexes, tables)
        words: NDArray[np.uint32] = coder.get_compressed()
        return words.astype("<u4").tobytes()


def _push_run(
    coder: constriction.stream.stack.AnsCoder,
    symbols: NDArray[np.int32],
    indexes: NDArray[np.uint8],
    tables: TableSet,
) -> None:
    at = indexes.astype(np.intp)
    slots, escape = symbols - tables.lows.take(at), (tables.lengths - 1).take(at)
    # Unsigned, what is below a table lies above it too.
    escaped = slots.view(np.uint32) >= escape.view(np.uint32)
    if escaped.any():
        outside = indexes[escaped]
        _push_escapes(coder, symbols[escaped], tables.lows[outside], tables.highs[outside])
        slots = np.where(escaped, escape, slots)
    del at, escape, escaped  # of a large picture they are more than all that is left to make
    order, present, bounds = _group(indexes, len(tables))
    slots = slots[order]
    for index in present[::-1]:
        group = slots[bounds[index] : bounds[index + 1]]
        coder.encode_reverse(group, tables.model(int(index)))


def _push_escapes(
    coder: constriction.stream.stack.AnsCoder,
    symbols: NDArray[np.int32],
    lows: NDArray[np.int32],
    highs: NDArray[np.int32],
) -> None:
    above = symbols > highs
    excess1 = np.where(above, symbols - highs, lows - symbols).astype(np.int64)
    lengths = np.frexp(excess1.astype(np.float64))[1].astype(np.int32)  # bit lengths
    for length in range(_MAX_LENGTH, 1, -1):
        group = excess1[lengths == length] - (1 << (length - 1))
        if len(group):
            model = constriction.stream.model.Uniform(1 << (length - 1))
            coder.encode_reverse(group.astype(np.int32), model)
    coder.encode_reverse(lengths - 1, _LENGTH)
    coder.encode_reverse(above.astype(np.int32), _SIGN)


class SymbolReader:
    """Decodes runs from a payload, in the order in which they were added.

    Any bytes decode to some symbols in bounded time; that they are the right ones
    is for `finish` and the symbol checksum to say.

    Raises:
        DesyncError: the payload cannot be the end state of a coder.
    """

    def __init__(self, payload: bytes) -> None:
        words = np.frombuffer(payload, "<u4").astype(np.uint32)
        # constriction takes a last word of 0 for a bug of its caller.
        if len(words) and words[-1] == 0:
            raise DesyncError("the coded data end in an impossible word")
        self._coder = constriction.stream.stack.AnsCoder(words)

    def read(self, indexes: NDArray[np.uint8], tables: TableSet) -> NDArray[np.int32]:
        """The next run: (n,) int32 symbols for (n,) table indexes.

        Raises:
            DesyncError: an escaped symbol is beyond +-MAX_SYMBOL.
        """
        order, present, bounds = _group(indexes, len(tables))
        grouped = np.empty(len(indexes), np.int32)
        for index in present:
            start, stop = int(bounds[index]), int(bounds[index + 1])
            grouped[start:stop] = self._coder.decode(tables.model(int(index)), stop - start)
        slots = np.empty_like(grouped)
        slots[order] = grouped
        del order, grouped  # of a large picture they are more than all that is left to make
        at = indexes.astype(np.intp)
        symbols: NDArray[np.int32] = np.add(slots, tables.lows.take(at), dtype=np.int32)
        escaped = slots == (tables.lengths - 1).take(at)
        if escaped.any():
            outside = indexes[escaped]
            symbols[escaped] = self._read_escapes(tables.lows[outside], tables.highs[outside])
        return symbols

    def _read_escapes(self, lows: NDArray[np.int32], highs: NDArray[np.int32]) -> NDArray[np.int32]:
        count = len(lows)
        above = self._coder.decode(_SIGN, count) == 1
        lengths = self._coder.decode(_LENGTH, count) + 1
        excess1 = np.ones(count, np.int64)
        for length in range(2, _MAX_LENGTH + 1):
            group = np.flatnonzero(lengths == length)
            if len(group):
                model = constriction.stream.model.Uniform(1 << (length - 1))
                bits = self._coder.decode(model, len(group))
                excess1[group] = bits.astype(np.int64) + (1 << (length - 1))
        symbols = np.where(above, highs + excess1, lows - excess1)
        if np.abs(symbols).max() > MAX_SYMBOL:
            raise DesyncError("an escaped symbol is out of range")
        return symbols.astype(np.int32)

    def expect_more(self) -> None:
        """Check that something is left to read, before work is done for it.

        An empty coder would go on to give each table's first symbol for ever, so a few
        bytes could claim a picture of any size.

        Raises:
            DesyncError: nothing is left.
        """
        if self._coder.is_empty():
            raise DesyncError("the coded data end before the last symbol")

    def finish(self) -> None:
        """Check that all was read.

        Raises:
            DesyncError: words are left, so earlier symbols were decoded wrongly.
        """
        if not self._coder.is_empty():
            raise DesyncError("coded data are left over after the last symbol")


def _group(
    indexes: NDArray[np.uint8], tables: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Stable order by table, the tables present, and where each one's group begins.

    On uint8 keys numpy's stable sort is a radix sort, ten times the speed of that of int64.
    """
    order = np.argsort(indexes, kind="stable")
    sizes = np.bincount(indexes, minlength=tables)
    bounds = np.concatenate([[0], np.cumsum(sizes)])
    return order, np.flatnonzero(sizes), bounds
