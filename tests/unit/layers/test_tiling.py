from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from cdsrcodec.layers.padding import pad_to_multiple
from cdsrcodec.layers.tiling import Span, run_tiled, tile_spans


@pytest.mark.parametrize("length", [1, 4, 5, 23])
@pytest.mark.parametrize("core", [1, 4, 30])
@pytest.mark.parametrize("halo", [0, 3])
def test_spans_keep_every_position_once_and_compute_a_halo_around(
    length: int, core: int, halo: int
) -> None:
    spans = list(tile_spans(length, core, halo))
    kept = [position for _, (start, stop) in spans for position in range(start, stop)]
    assert kept == list(range(length))
    for (first, last), (start, stop) in spans:
        assert stop - start <= core
        assert (first, last) == (max(0, start - halo), min(length, stop + halo))


def tiled(
    network: Callable[[Tensor], Tensor], x: Tensor, *, grain: int, scale: int, core: int, halo: int
) -> Tensor:
    """The pieces put together again, each where its spans say."""
    pieces: list[tuple[Tensor, Span, Span]] = []

    def store(piece: Tensor, rows: Span, columns: Span) -> None:
        pieces.append((piece, rows, columns))

    run_tiled(network, x, store, grain=grain, scale=scale, core=core, halo=halo)
    _, last_rows, last_columns = pieces[-1]
    out = torch.full((1, pieces[0][0].shape[1], last_rows[1], last_columns[1]), torch.nan)
    for piece, rows, columns in pieces:
        assert out[..., slice(*rows), slice(*columns)].isnan().all(), "no position comes twice"
        out[..., slice(*rows), slice(*columns)] = piece
    return out


def shrinking_network() -> tuple[Callable[[Tensor], Tensor], int]:
    """A strided network on padded tiles, and its reach in grains of 4."""
    convs = nn.Sequential(nn.Conv2d(2, 3, 5, stride=2, padding=2), nn.Conv2d(3, 4, 3, 2, 1))
    return lambda x: convs(pad_to_multiple(x, 4)), 1


def enlarging_network() -> tuple[Callable[[Tensor], Tensor], int]:
    """Convolutions at two sizes around a pixel shuffle, and their reach in positions."""
    convs = nn.Sequential(
        nn.Conv2d(2, 12, 3, padding=1), nn.PixelShuffle(2), nn.Conv2d(3, 4, 5, padding=2)
    )
    return convs, 2


def compare(
    make: Callable[[], tuple[Callable[[Tensor], Tensor], int]],
    size: tuple[int, int],
    *,
    grain: int,
    scale: int,
    halo_cut: int = 0,
) -> float:
    """Largest difference between a result in tiles of 3 and one in one piece."""
    torch.manual_seed(0)
    network, reach = make()
    x = torch.randn(1, 2, *size)
    with torch.inference_mode():
        whole = network(x)
        run = partial(tiled, network, x, grain=grain, scale=scale, core=3)
        in_tiles = run(halo=reach - halo_cut)
    assert in_tiles.shape == whole.shape
    assert not in_tiles.isnan().any(), "every position comes"
    return (in_tiles - whole).abs().max().item()


SIZES = [(1, 1), (3, 50), (37, 12), (24, 26), (40, 39)]


@pytest.mark.parametrize("size", SIZES)
def test_a_strided_network_gives_the_same_in_tiles(size: tuple[int, int]) -> None:
    assert compare(shrinking_network, size, grain=4, scale=1) < 1e-5


@pytest.mark.parametrize("size", [(1, 1), (2, 13), (10, 3), (7, 8)])
def test_an_enlarging_network_gives_the_same_in_tiles(size: tuple[int, int]) -> None:
    assert compare(enlarging_network, size, grain=1, scale=2) < 1e-5


def test_a_halo_below_the_reach_would_show() -> None:
    assert compare(enlarging_network, (10, 11), grain=1, scale=2, halo_cut=1) > 1e-3
    assert compare(shrinking_network, (40, 39), grain=4, scale=1, halo_cut=1) > 1e-3
