"""Memory that runs out: smaller tiles while there are any, and in the end one kind of error."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from cdsrcodec.codec import analysis, decode_pixels, decode_symbols, encode_pixels, enlarge_pixels
from cdsrcodec.codec.analysis import TileFeatures, analyse
from cdsrcodec.codec.loading import encoder_network
from cdsrcodec.codec.tiles import LEAST_CORE, Tiling
from cdsrcodec.models.interface import LATENT_STRIDE, EncoderNetwork
from cdsrcodec.models.registry import codec_named

CPU = torch.device("cpu")
ENTRY = codec_named("cdsr1")
Crop = Callable[..., NDArray[np.uint8]]
OF_TORCH = RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")
OF_A_GPU = torch.OutOfMemoryError("CUDA out of memory")


class FragileEncoder(EncoderNetwork):
    """An encoder that runs out of memory on tiles wider than so many latent positions."""

    def __init__(self, encoder: EncoderNetwork, width: int) -> None:
        super().__init__()
        self.encoder, self.width = encoder, width
        self.widths: list[int] = []

    def features(self, x: Tensor) -> Tensor:
        self.widths.append(x.shape[-1] // LATENT_STRIDE)
        if self.widths[-1] > self.width:
            raise OF_TORCH
        return self.encoder.features(x)

    def to_latent(self, features: Tensor, level: Tensor) -> Tensor:
        return self.encoder.to_latent(features, level)

    def to_hyper(self, y_gained: Tensor) -> Tensor:
        return self.encoder.to_hyper(y_gained)


@pytest.fixture
def fragile(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], FragileEncoder]:
    """Puts a FragileEncoder of a width in the place of the real one."""
    encoder = encoder_network(ENTRY, CPU)

    def install(width: int) -> FragileEncoder:
        network = FragileEncoder(encoder, width)
        monkeypatch.setattr(analysis, "encoder_network", lambda *_: network)
        return network

    return install


def test_tiles_of_the_encoder_are_halved_where_memory_runs_out(
    fragile: Callable[[int], FragileEncoder], crop: Crop
) -> None:
    x = crop(40 * LATENT_STRIDE, LATENT_STRIDE)
    whole = analyse(ENTRY, x, 3.0, CPU)
    network = fragile(LEAST_CORE + 24)
    features = TileFeatures()
    tiling = Tiling(core=32, halo=12, bytes_per_position=1)
    tiled = analyse(ENTRY, x, 3.0, CPU, features, tiling)
    # Tiles of 32 positions and both halos fail at once, those of 16 at the second one.
    assert network.widths == [40, 28, 36, 20, 28, 32, 28, 20]
    assert features.core == 8
    assert len(features.tiles) == 5
    for tensor, expected in zip(tiled, whole, strict=True):
        assert (tensor - expected).abs().max() < 1e-2
    again = analyse(ENTRY, x, 3.0, CPU, features, tiling)
    assert len(network.widths) == 8, "kept features were computed again"
    assert torch.equal(again[0], tiled[0])


def test_where_the_smallest_tiles_are_too_large_encoding_is_out_of_memory(
    fragile: Callable[[int], FragileEncoder], crop: Crop
) -> None:
    network = fragile(1)
    with pytest.raises(MemoryError, match="can't allocate"):
        encode_pixels(crop(64, 48), quality=4.0, codec="cdsr1", device=CPU)
    assert len(network.widths) == 5  # 96, 48, 24, 12, 8


def out_of_memory(error: Exception) -> Callable[..., object]:
    def fail(*_: object, **__: object) -> object:
        raise error

    return fail


@pytest.mark.parametrize(
    ("place", "error"),
    [
        ("cdsrcodec.models.cdsr1.Encoder.to_hyper", OF_A_GPU),
        ("cdsrcodec.models.integer_prior.LatentWalk.predict", OF_TORCH),
        ("cdsrcodec.codec.refinement.LatentRefiner.refine", OF_A_GPU),
    ],
    ids=["h_a", "walk", "refinement"],
)
def test_encoding_says_in_one_way_that_memory_ran_out(
    monkeypatch: pytest.MonkeyPatch, crop: Crop, place: str, error: Exception
) -> None:
    monkeypatch.setattr(place, out_of_memory(error))
    with pytest.raises(MemoryError, match=str(error)):
        encode_pixels(crop(64, 48), quality=4.0, codec="cdsr1", device=CPU, effort=1)


def test_decoding_says_in_one_way_that_memory_ran_out(
    monkeypatch: pytest.MonkeyPatch, stream: bytes
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("cdsrcodec.models.integer_prior.LatentWalk.fill", out_of_memory(OF_TORCH))
        with pytest.raises(MemoryError, match="can't allocate"):
            decode_symbols(stream)
    monkeypatch.setattr("cdsrcodec.codec.decoding.decoder_network", out_of_memory(OF_A_GPU))
    with pytest.raises(MemoryError, match="CUDA out of memory"):
        decode_pixels(stream, sr=1, upscaler="latent", device=CPU)


def test_enlarging_says_in_one_way_that_memory_ran_out(
    monkeypatch: pytest.MonkeyPatch, crop: Crop
) -> None:
    monkeypatch.setattr("cdsrcodec.codec.enlarging.pixel_enlarger", out_of_memory(OF_A_GPU))
    with pytest.raises(MemoryError, match="CUDA out of memory"):
        enlarge_pixels(crop(64, 48), upscaler="edsr-b2", weights=None, device=CPU)


def test_other_errors_stay_what_they_are(monkeypatch: pytest.MonkeyPatch, stream: bytes) -> None:
    error = RuntimeError("shapes do not fit")
    monkeypatch.setattr("cdsrcodec.models.integer_prior.LatentWalk.fill", out_of_memory(error))
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        decode_symbols(stream)
