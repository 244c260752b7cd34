"""Run a convolutional network over a large picture piece by piece.

A tile is computed with a halo of at least the receptive field and the halo is
cut off again, so a result in pieces equals the result in one, up to the order of
float additions. At the picture's own borders there is no halo: the network
sees the same padding there as it would in one piece.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from torch import Tensor

Span = tuple[int, int]
OnStep = Callable[[int, int], None]
"""Told the steps done and the steps in all."""


def tile_spans(length: int, core: int, halo: int) -> Iterator[tuple[Span, Span]]:
    """Pieces of 0..length: (span to compute, with halo; span to keep)."""
    for start in range(0, length, core):
        stop = min(start + core, length)
        yield (max(0, start - halo), min(length, stop + halo)), (start, stop)


def run_tiled(
    network: Callable[[Tensor], Tensor],
    x: Tensor,
    store: Callable[[Tensor, Span, Span], None],
    *,
    grain: int,
    scale: int,
    core: int,
    halo: int,
) -> None:
    """Apply network to tiles of x and hand each kept piece to store.

    Args:
        network: (1, C, h, w) to (1, D, ceil(h / grain) * scale, ...).
        x: (1, C, H, W); the last tile of a row or column may be no whole number of grains.
        store: called with the kept piece (1, D, ., .) and its row and column span in
            the output, row by row.
        grain: positions of x that stay together: the stride of the network.
        scale: output positions a grain.
        core: side of a tile without its halo, in grains.
        halo: in grains, at least the receptive field.
    """
    height, width = (-(-side // grain) for side in x.shape[-2:])
    for (top, bottom), rows in tile_spans(height, core, halo):
        for (left, right), columns in tile_spans(width, core, halo):
            out = network(x[..., top * grain : bottom * grain, left * grain : right * grain])
            kept_rows = slice((rows[0] - top) * scale, (rows[1] - top) * scale)
            kept_columns = slice((columns[0] - left) * scale, (columns[1] - left) * scale)
            store(
                out[..., kept_rows, kept_columns],
                (rows[0] * scale, rows[1] * scale),
                (columns[0] * scale, columns[1] * scale),
            )
