"""Tiles change nothing: the networks see no further than the halo, and pieces fit together."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cdsrcodec.codec import decode_pixels, decoding, enlarge_pixels, enlarging
from cdsrcodec.codec.analysis import analyse
from cdsrcodec.codec.loading import decoder_network, latent_upscaler
from cdsrcodec.codec.tiles import LATENT_4X, NEEDS, PIXELS
from cdsrcodec.codec.upscalers import new_upscaler
from cdsrcodec.models.cdsr1 import AnalysisTransform, Decoder, SynthesisTransform
from cdsrcodec.models.registry import codec_named
from cdsrcodec.sr.enlargers import NETWORKS
from cdsrcodec.sr.latent import LatentUpscaler
from cdsrcodec.sr.registry import UPSCALERS, UpscalerEntry

CPU = torch.device("cpu")
STRIDE = 16
ENTRY = codec_named("cdsr1")
GAINED = "bmshj2018-hyperprior-gain"
TILES = NEEDS["cdsr1"]
Crop = Callable[..., NDArray[np.uint8]]

# Longer than a small tile with its halos, the one way and then the other.
LONG_SIZES_PX = [(430, 13), (13, 430)]
SMALL_CORE = 6


def make_transparent(network: nn.Module) -> None:
    """Give every convolution equal positive weights, so that no path through it cancels."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.constant_(module.weight, 1 / module.in_channels)
            assert module.bias is not None
            nn.init.zeros_(module.bias)
    network.requires_grad_(False)


def columns_seen(output: Tensor, x: Tensor) -> tuple[int, int]:
    """First and last column of x that one output depends on."""
    (gradient,) = torch.autograd.grad(output, x, retain_graph=True)
    columns = gradient.abs().sum((0, 1, 2)).nonzero().flatten()
    return int(columns[0]), int(columns[-1])


def test_analysis_sees_136_px_to_each_side() -> None:
    g_a = AnalysisTransform()
    make_transparent(g_a)
    x = torch.ones(1, 3, STRIDE, 25 * STRIDE, requires_grad=True)
    first, last = columns_seen(g_a(x, torch.ones(1))[0, 0, 0, 12], x)
    reach_px = max(12 * STRIDE - first, last - (13 * STRIDE - 1))
    assert reach_px == 136
    assert reach_px <= TILES.analysis.halo * STRIDE


def reach_of(network: Callable[[Tensor], Tensor], scale: int, channels: int = 224) -> int:
    """Latent positions that the outer pixels of a position depend on, to one side."""
    middle = TILES.synthesis.halo + 1
    y_hat = torch.ones(1, channels, 1, 2 * middle + 1, requires_grad=True)
    row = network(y_hat)[0, 0, scale // 2]
    first, _ = columns_seen(row[middle * scale], y_hat)
    _, last = columns_seen(row[(middle + 1) * scale - 1], y_hat)
    assert first > 0
    assert last < 2 * middle
    return max(middle - first, last - middle)


def test_synthesis_sees_less_than_the_halo() -> None:
    g_s = SynthesisTransform()
    make_transparent(g_s)
    reach = reach_of(lambda y_hat: g_s(y_hat, torch.ones(1), torch.ones(1)), STRIDE)
    assert reach == math.ceil(9.5)
    assert reach <= TILES.synthesis.halo


@pytest.mark.parametrize(("codec", "channels", "expected"), [("cdsr1", 224, 11), (GAINED, 192, 3)])
def test_a_latent_upscaler_of_six_blocks_sees_less_than_the_halo(
    codec: str, channels: int, expected: int
) -> None:
    upscaler = new_upscaler(codec, 6)
    make_transparent(upscaler)
    level = torch.zeros(1)
    reach = reach_of(lambda y_hat: upscaler(y_hat, level), 4 * STRIDE, channels)
    assert reach == expected
    assert reach <= LATENT_4X[codec].halo


LATENT_UPSCALERS = [e for e in UPSCALERS if e.codec is not None and e.is_available]


@pytest.mark.parametrize("entry", LATENT_UPSCALERS, ids=lambda entry: f"{entry.name}-{entry.codec}")
def test_shipped_upscalers_have_six_blocks(entry: UpscalerEntry) -> None:
    assert len(latent_upscaler(entry, CPU).trunk) == 6


@pytest.mark.parametrize("size_px", LONG_SIZES_PX, ids=["wide", "high"])
def test_the_latent_is_the_same_in_tiles(crop: Crop, size_px: tuple[int, int]) -> None:
    x = crop(*size_px)
    assert max(size_px) < TILES.analysis.core * STRIDE, "one tile"
    y_gained, z = analyse(ENTRY, x, 7.0, CPU)
    small_tiles = replace(TILES.analysis, core=SMALL_CORE)
    tiled_y_gained, tiled_z = analyse(ENTRY, x, 7.0, CPU, tiling=small_tiles)
    assert tiled_y_gained.shape == y_gained.shape
    assert y_gained.std() > 0.5
    assert (tiled_y_gained - y_gained).abs().max() < 1e-2
    assert (tiled_z - z).abs().max() < 1e-2


@pytest.mark.parametrize("size_px", LONG_SIZES_PX, ids=["wide", "high"])
def test_the_native_picture_is_the_same_in_tiles(
    monkeypatch: pytest.MonkeyPatch,
    crop: Crop,
    encode: Callable[..., bytes],
    size_px: tuple[int, int],
) -> None:
    data = encode(crop(*size_px), 6.0)
    whole = decode_pixels(data, sr=1, upscaler="latent", device=CPU).astype(int)
    small_tiles = replace(TILES.synthesis, core=SMALL_CORE)
    monkeypatch.setitem(NEEDS, "cdsr1", replace(TILES, synthesis=small_tiles))
    tiled = decode_pixels(data, sr=1, upscaler="latent", device=CPU).astype(int)
    assert np.abs(tiled - whole).max() <= 1
    assert (tiled != whole).mean() < 0.001


def correcting_upscaler() -> LatentUpscaler:
    """An upscaler of the codec's own synthesis whose trunk makes large random corrections."""
    torch.manual_seed(0)
    decoder = decoder_network(ENTRY, CPU)
    assert isinstance(decoder, Decoder)
    upscaler = LatentUpscaler(decoder.g_s, levels=8, blocks=6)
    nn.init.normal_(upscaler.tail.weight, std=0.02)
    return upscaler.eval().requires_grad_(False)


@pytest.mark.parametrize("size_px", LONG_SIZES_PX, ids=["wide", "high"])
def test_the_large_picture_is_the_same_in_tiles(
    monkeypatch: pytest.MonkeyPatch,
    crop: Crop,
    encode: Callable[..., bytes],
    size_px: tuple[int, int],
) -> None:
    data = encode(crop(*size_px), 6.0)
    upscaler = correcting_upscaler()
    monkeypatch.setattr(decoding, "latent_upscaler", lambda entry, device: upscaler)
    tiles = LATENT_4X["cdsr1"]
    assert max(size_px) < tiles.core * STRIDE, "one tile"
    whole = decode_pixels(data, sr=4, upscaler="latent", device=CPU).astype(int)
    monkeypatch.setitem(LATENT_4X, "cdsr1", replace(tiles, core=SMALL_CORE))
    tiled = decode_pixels(data, sr=4, upscaler="latent", device=CPU).astype(int)
    assert whole.shape == (4 * size_px[1], 4 * size_px[0], 3)
    assert np.abs(tiled - whole).max() <= 1
    assert (tiled != whole).mean() < 0.001
    # A halo below the reach would show.
    monkeypatch.setitem(LATENT_4X, "cdsr1", replace(tiles, core=SMALL_CORE, halo=1))
    cut = decode_pixels(data, sr=4, upscaler="latent", device=CPU).astype(int)
    assert np.abs(cut - whole).max() > 1


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_of_pixels_give_the_same_in_tiles(
    monkeypatch: pytest.MonkeyPatch, crop: Crop, name: str
) -> None:
    torch.manual_seed(0)
    network = NETWORKS[name]()
    nn.init.normal_(network.get_parameter("tail.weight"), std=0.2)
    network.eval().requires_grad_(False)
    monkeypatch.setattr(enlarging, "pixel_enlarger", lambda entry, weights, device: network)
    x = crop(2 * network.reach_px + 20, 6)

    def enlarged() -> NDArray[np.int64]:
        pixels = enlarge_pixels(x, upscaler=name, weights=None, device=CPU)
        return pixels.astype(np.int64)

    assert x.shape[1] < PIXELS.core, "one tile"
    whole = enlarged()
    plain = enlarge_pixels(x, upscaler="bicubic", weights=None, device=CPU)
    assert np.abs(whole - plain).mean() > 5
    monkeypatch.setattr(enlarging, "PIXELS", replace(PIXELS, core=10))
    tiled = enlarged()
    assert np.abs(tiled - whole).max() <= 1
    assert (tiled != whole).mean() < 0.001
    # A halo below the reach would show.
    monkeypatch.setattr(type(network), "reach_px", network.reach_px // 6)
    assert np.abs(enlarged() - whole).max() > 1
