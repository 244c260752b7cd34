from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from cdsrcodec.codec import Target, decode_symbols, encode_pixels, encoding, refinement
from cdsrcodec.codec.analysis import analyse
from cdsrcodec.codec.encoding import PictureEncoder
from cdsrcodec.codec.refinement import STEPS_OF_EFFORT, LatentRefiner, round_by_chance
from cdsrcodec.container import Chunk, read_stream
from cdsrcodec.models.cdsr1 import lmbda_at
from cdsrcodec.models.registry import codec_named

CPU = torch.device("cpu")
ENTRY = codec_named("cdsr1")
Crop = Callable[..., NDArray[np.uint8]]
Encode = Callable[..., bytes]


def encode_refined(
    pixels: NDArray[np.uint8],
    quality: float | Target = 5.0,
    effort: int = 1,
    on_step: Callable[[int, int], None] | None = None,
) -> bytes:
    return encode_pixels(
        pixels, quality=quality, codec="cdsr1", device=CPU, effort=effort, on_step=on_step
    )


def cost(pixels: NDArray[np.uint8], data: bytes) -> float:
    """Bits per pixel + lambda * squared error, lambda that of the stream's quality."""
    lmbda = float(lmbda_at(torch.tensor([read_stream(data).header.quality - 1])))
    return PictureEncoder(lambda _: ENTRY, pixels, CPU, 0, (), None).cost(lmbda, data)


def test_effort_0_is_the_plain_encoder(
    crop: Crop, encode: Encode, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = crop(64, 48)
    expected = encode(x, 5.0)
    monkeypatch.delattr(LatentRefiner, "refine")
    assert encode_refined(x, effort=0) == expected


@pytest.mark.parametrize("name", ["cat.png", "coffee.png"])
@pytest.mark.parametrize("quality", [1.0, 5.0, 8.0])
def test_effort_never_costs_more_rate_and_distortion(
    crop: Crop, encode: Encode, name: str, quality: float
) -> None:
    x = crop(64, 64, name)
    data = encode_refined(x, quality)
    assert cost(x, data) <= cost(x, encode(x, quality))
    assert read_stream(data).header.quality == quality
    assert decode_symbols(data).header.width_px == 64


def test_more_effort_makes_better_files(crop: Crop) -> None:
    x = crop(64, 64, "coffee.png")
    costs = [cost(x, encode_refined(x, 6.0, effort)) for effort in (0, 1, 4)]
    assert costs[2] < costs[1] <= costs[0]
    assert costs[2] < 0.99 * costs[0]


def test_steps_grow_with_effort() -> None:
    assert STEPS_OF_EFFORT[0] == 0
    assert list(STEPS_OF_EFFORT) == sorted(set(STEPS_OF_EFFORT))


def test_the_same_picture_gives_the_same_bytes(crop: Crop) -> None:
    x = crop(64, 48, "coffee.png")
    data = encode_refined(x)
    torch.manual_seed(123)
    assert encode_refined(x) == data


def test_a_caller_without_gradients_gets_the_same_bytes(crop: Crop) -> None:
    x = crop(33, 20, "coffee.png")
    x.flags.writeable = False
    data = encode_refined(x)
    with torch.inference_mode():
        assert encode_refined(x) == data
    with torch.no_grad():
        assert encode_refined(x) == data


def test_a_refinement_that_does_harm_is_thrown_away(
    crop: Crop, encode: Encode, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoil(_self: object, _pixels: object, y_gained: Tensor, *_: Tensor, **__: object) -> Tensor:
        return y_gained + 3

    x = crop(48, 32)
    monkeypatch.setattr(LatentRefiner, "refine", spoil)
    assert encode_refined(x) == encode(x, 5.0)


@pytest.fixture
def two_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Effort 1 takes two steps a tile, where what they gain does not matter."""
    monkeypatch.setattr(encoding, "STEPS_OF_EFFORT", (0, 2))


@pytest.mark.usefixtures("two_steps")
def test_progress_is_told_step_by_step(crop: Crop, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[int, int]] = []
    encode_refined(crop(32, 32), on_step=lambda done, total: calls.append((done, total)))
    assert calls == [(1, 2), (2, 2)]
    monkeypatch.setattr(refinement, "CORE", 4)
    calls.clear()
    encode_refined(crop(100, 80), on_step=lambda done, total: calls.append((done, total)))
    assert calls == [(step, 8) for step in range(1, 9)]


def test_tiles_refine_about_as_well_as_the_whole(
    crop: Crop, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = crop(128, 64, "coffee.png")
    plain, whole = (cost(x, encode_refined(x, 6.0, effort)) for effort in (0, 2))
    monkeypatch.setattr(refinement, "CORE", 4)
    tiled = cost(x, encode_refined(x, 6.0, 2))
    assert whole < plain
    assert tiled < plain - 0.3 * (plain - whole)


def test_every_part_of_a_latent_is_refined_and_the_given_one_kept(
    crop: Crop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refinement, "CORE", 4)
    x = crop(100, 80)
    y_gained, z = analyse(ENTRY, x, 5.0, CPU)
    before = y_gained.clone()
    refined = LatentRefiner(ENTRY, 5.0, CPU).refine(x, y_gained, z, steps=2)
    assert torch.equal(y_gained, before)
    assert refined.shape == y_gained.shape
    assert ((refined - y_gained).abs().amax((0, 1)) > 0).all()


@pytest.mark.usefixtures("two_steps")
def test_chunks_are_in_refined_streams_and_count_for_targets(crop: Crop) -> None:
    x, chunk = crop(32, 32), Chunk(b"exif", bytes(100))
    for quality in (8.0, Target(size_bytes=380)):
        data = encode_pixels(
            x, quality=quality, codec="cdsr1", device=CPU, effort=1, chunks=(chunk,)
        )
        assert read_stream(data).chunks == (chunk,)
    assert 340 < len(data) <= 380


@pytest.mark.parametrize("effort", [-1, 10, 1.5])
def test_an_effort_out_of_range_is_refused(crop: Crop, effort: int) -> None:
    with pytest.raises(ValueError, match=f"effort must be 0 to 9, not {effort}"):
        encode_refined(crop(16, 16), effort=effort)


def test_chance_rounds_to_the_integers_around_and_mostly_to_the_nearer() -> None:
    residual = torch.linspace(-2.9, 2.9, 59).repeat(2000, 1).requires_grad_()
    generator = torch.Generator().manual_seed(0)
    soft = round_by_chance(residual, residual, temperature=0.5, generator=generator)
    assert (soft >= residual.floor()).all()
    assert (soft <= residual.floor() + 1).all()
    assert (soft.mean(0) - residual[0]).abs().max() < 0.2
    (gradient,) = torch.autograd.grad(soft.sum(), [residual])
    assert (gradient >= 0).all()
    hard = round_by_chance(residual, residual, temperature=0.02, generator=generator)
    clear = (residual - residual.round()).abs() < 0.45
    assert (hard - residual.round()).abs()[clear].max() < 1e-3
