from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from cdsrcodec.codec import Target, decode_pixels, decode_symbols, encode_pixels
from cdsrcodec.codec.analysis import analyse
from cdsrcodec.codec.tiles import NEEDS, PROGRAM_BYTES
from cdsrcodec.container import read_stream
from cdsrcodec.errors import DesyncError, LimitError, ModelError
from cdsrcodec.models.registry import CodecEntry
from cdsrcodec.zoo.importing import import_checkpoint
from tests.fuzz.forging import forge_stream

if TYPE_CHECKING:
    from compressai.models import ScaleHyperprior

CPU = torch.device("cpu")
CODEC = "bmshj2018-hyperprior"
TIE = 1e-4  # several times what two ways to add up the same convolution differ by
Crop = Callable[..., NDArray[np.uint8]]


def encode(pixels: NDArray[np.uint8], quality: float | Target = 4) -> bytes:
    return encode_pixels(pixels, quality=quality, codec=CODEC, device=CPU)


def decode(data: bytes, sr: int = 1, upscaler: str = "bicubic") -> NDArray[np.uint8]:
    return decode_pixels(data, sr=sr, upscaler=upscaler, device=CPU)


def as_tensor(pixels: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255


def is_clear(network: ScaleHyperprior, pixels: NDArray[np.uint8]) -> bool:
    """Whether no element of the latent is so near to a half that it may be rounded either way."""
    with torch.no_grad():
        y = network.g_a(as_tensor(pixels))
    return bool(((y - y.floor() - 0.5).abs() > TIE).all())


@pytest.mark.usefixtures("hyperprior")
def test_the_picture_is_that_of_compressai(crop: Crop, scale_hyperprior: ScaleHyperprior) -> None:
    photograph = crop(256, 256)
    corners = [(row, column) for row in range(0, 192, 16) for column in range(0, 192, 16)]
    tiles = (photograph[row : row + 64, column : column + 64] for row, column in corners)
    clear = [x for x in tiles if is_clear(scale_hyperprior, x)][:3]
    assert len(clear) == 3
    for x in clear:
        with torch.no_grad():
            x_hat = scale_hyperprior(as_tensor(x))["x_hat"][0].permute(1, 2, 0)
        expected = (x_hat * 255).round().clamp(0, 255).numpy()
        assert expected.std() > 20
        assert np.abs(decode(encode(x)) - expected).max() <= 1


def test_the_file_is_as_large_as_that_of_compressai(
    hyperprior: CodecEntry, crop: Crop, scale_hyperprior: ScaleHyperprior
) -> None:
    x = crop(256, 192)
    with torch.no_grad():
        y = scale_hyperprior.g_a(as_tensor(x))
        strings = scale_hyperprior.compress(as_tensor(x))["strings"]
    y_gained, _ = analyse(hyperprior, x, 3.0, CPU)
    assert (y_gained - y).abs().max() < TIE / 2
    expected_bytes = sum(len(string) for (string,) in strings)
    assert expected_bytes > 10_000
    assert abs(len(encode(x)) / expected_bytes - 1) < 0.005


def test_the_large_networks_of_the_higher_qualities_code_too(
    crop: Crop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from compressai.models import ScaleHyperprior

    monkeypatch.setenv("CDSRCODEC_HOME", str(tmp_path))
    network = ScaleHyperprior(192, 320)
    network.update()
    torch.save(network.state_dict(), tmp_path / "x.pth")
    entry = import_checkpoint(tmp_path / "x.pth", CODEC, 7, "ms-ssim")
    data = encode_pixels(crop(40, 24), quality=7, codec=CODEC, metric="ms-ssim", device=CPU)
    header = read_stream(data).header
    assert (header.model_id, header.quality) == (3, 7.0)
    assert [len(run) for run in decode_symbols(data).runs] == [192 * 1 * 1, 320 * 2 * 3]
    assert decode(data).shape == (24, 40, 3)
    assert header.entropy_tag == entry.entropy_tag()


@pytest.mark.usefixtures("hyperprior")
@pytest.mark.parametrize("size_px", [(1, 1), (17, 16), (70, 33)])
def test_every_size_comes_back_with_the_symbols_that_were_coded(
    crop: Crop, size_px: tuple[int, int]
) -> None:
    x = crop(*size_px)
    data = encode(x)
    z_run, y_run = decode_symbols(data).runs
    height, width = (-(-side // 16) for side in x.shape[:2])
    assert len(y_run) == 192 * height * width
    assert len(z_run) == 128 * -(-height // 4) * -(-width // 4)
    assert decode(data).shape == x.shape


def test_the_header_says_which_weights_wrote_it(hyperprior: CodecEntry, crop: Crop) -> None:
    header = read_stream(encode(crop(32, 16))).header
    assert (header.model_id, header.quality) == (2, 4.0)
    assert header.entropy_tag == hyperprior.entropy_tag()
    assert hyperprior.folder.name == f"{CODEC}-mse-4-{header.entropy_tag.hex()}"


@pytest.mark.usefixtures("hyperprior")
def test_a_target_chooses_among_the_installed_qualities(crop: Crop) -> None:
    x = crop(32, 32)
    size_bytes = len(encode(x))
    assert encode(x, Target(size_bytes=size_bytes)) == encode(x)
    with pytest.raises(LimitError, match=rf"has {size_bytes} bytes .* at quality 4\. hint"):
        encode(x, Target(size_bytes=size_bytes - 1))


@pytest.mark.usefixtures("hyperprior")
def test_upscalers_of_pixels_fit_and_the_one_of_another_latent_does_not(crop: Crop) -> None:
    data = encode(crop(32, 16))
    for upscaler in ("bicubic", "lanczos"):
        assert decode(data, 4, upscaler).shape == (64, 128, 3)
    message = f"'latent' does not read files of {CODEC}. hint: use bicubic or lanczos or "
    with pytest.raises(ModelError, match=message):
        decode(data, 4, "latent")


@pytest.mark.usefixtures("hyperprior")
def test_other_weights_are_refused_before_anything_is_decoded(
    crop: Crop, rewrite: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = encode(crop(16, 16))
    monkeypatch.delattr("cdsrcodec.codec.decoding.SymbolReader")
    for other in ({"entropy_tag": b"\xde\xad\xbe\xef"}, {"model_id": 3}, {"quality_code": 128}):
        with pytest.raises(ModelError, match=r"which are not installed\. hint: cdsrcodec models"):
            decode(rewrite(data, **other))
        with pytest.raises(ModelError, match="not installed"):
            decode_symbols(rewrite(data, **other))


@pytest.mark.usefixtures("hyperprior")
def test_qualities_without_weights_and_between_are_refused(crop: Crop) -> None:
    with pytest.raises(ModelError, match=r"no weights of .* quality 5 and mse"):
        encode(crop(16, 16), 5)
    with pytest.raises(ValueError, match="must be a whole number"):
        encode(crop(16, 16), 4.5)


def test_symbols_that_no_encoder_would_write_decode_to_a_picture(hyperprior: CodecEntry) -> None:
    for seed in range(12):
        data = forge_stream(Random(seed), hyperprior)
        header = read_stream(data).header
        assert decode(data).shape == (header.height_px, header.width_px, 3)


@pytest.mark.usefixtures("hyperprior")
def test_other_words_in_the_payload_are_found(crop: Crop, rewrite: Callable[..., bytes]) -> None:
    data = encode(crop(32, 32))
    payload = read_stream(data).payload
    for at in range(0, len(payload), len(payload) // 8):
        damaged = payload[:at] + bytes([payload[at] ^ 1]) + payload[at + 1 :]
        with pytest.raises(DesyncError):
            decode(rewrite(data, payload=damaged))


def test_tiles_give_the_latent_and_the_picture_of_one_piece(
    hyperprior: CodecEntry, crop: Crop, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = crop(480, 16)
    y_gained, _ = analyse(hyperprior, x, 3.0, CPU)
    data = encode(x)
    whole = decode(data).astype(int)
    needs = NEEDS[CODEC]
    small = {part: replace(getattr(needs, part), core=2) for part in ("analysis", "synthesis")}
    monkeypatch.setitem(NEEDS, CODEC, replace(needs, **small))
    assert (analyse(hyperprior, x, 3.0, CPU)[0] - y_gained).abs().max() < TIE
    assert np.abs(decode(data) - whole).max() <= 1


@pytest.mark.usefixtures("hyperprior")
def test_a_limit_of_memory_gives_smaller_tiles_or_is_refused(crop: Crop) -> None:
    x = crop(330, 20)
    data = encode(x)
    needs = NEEDS[CODEC]
    limit = PROGRAM_BYTES + needs.synthesis.least_bytes((2, 21)) + 2_000_000
    within: dict[str, Any] = {"device": CPU, "max_memory_bytes": limit}
    assert needs.synthesis.within(limit, 0, (2, 21)).core < 21
    assert encode_pixels(x, quality=4, codec=CODEC, **within) == data
    tiled = decode_pixels(data, sr=1, upscaler="", **within).astype(int)
    assert np.abs(tiled - decode(data)).max() <= 1
    with pytest.raises(LimitError, match="hint: --max-memory"):
        decode_pixels(data, sr=1, upscaler="", device=CPU, max_memory_bytes=limit // 2)
