from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from cdsrcodec.codec import (
    decode_pixels,
    decode_symbols,
    decoding,
    encode_pixels,
    resolve_device,
)
from cdsrcodec.codec.loading import (
    decoder_network,
    encoder_network,
    entropy_model,
    latent_upscaler,
)
from cdsrcodec.container import read_stream
from cdsrcodec.entropy import SymbolWriter
from cdsrcodec.errors import ChecksumError, DesyncError, DeviceError, LimitError, ModelError
from cdsrcodec.models.integer_prior import LatentWalk
from cdsrcodec.models.interface import Prediction, hyper_size
from cdsrcodec.models.registry import CodecEntry, codec_named
from cdsrcodec.sr.registry import UpscalerEntry

CPU = torch.device("cpu")
Crop = Callable[..., NDArray[np.uint8]]
Rewrite = Callable[..., bytes]

decode_native = partial(decode_pixels, sr=1, upscaler="latent", device=CPU)


@pytest.mark.parametrize("decode", [decode_symbols, decode_native], ids=["symbols", "pixels"])
class TestStreamsThatAreRefused:
    """By the exact part alone, and by whoever wants pixels."""

    def test_another_symbol_checksum(
        self, decode: Callable[[bytes], object], stream: bytes, rewrite: Rewrite
    ) -> None:
        symbol_crc = read_stream(stream).header.symbol_crc ^ 1
        with pytest.raises(DesyncError, match="decode to other symbols than were encoded"):
            decode(rewrite(stream, symbol_crc=symbol_crc))

    @pytest.mark.parametrize("word", [0, 20, -2])
    def test_another_payload_word(
        self, decode: Callable[[bytes], object], stream: bytes, rewrite: Rewrite, word: int
    ) -> None:
        words = np.frombuffer(read_stream(stream).payload, "<u4").copy()
        words[word] ^= 0x0100
        with pytest.raises(DesyncError):
            decode(rewrite(stream, payload=words.tobytes()))

    @pytest.mark.parametrize("cut_bytes", [4, 40])
    def test_a_shorter_payload_under_a_right_checksum(
        self, decode: Callable[[bytes], object], stream: bytes, rewrite: Rewrite, cut_bytes: int
    ) -> None:
        payload = read_stream(stream).payload
        for shorter in (payload[cut_bytes:], payload[:-cut_bytes], b""):
            with pytest.raises(DesyncError):
                decode(rewrite(stream, payload=shorter))

    def test_a_longer_payload_under_a_right_checksum(
        self, decode: Callable[[bytes], object], stream: bytes, rewrite: Rewrite
    ) -> None:
        payload = read_stream(stream).payload
        for longer in (b"\x01\x02\x03\x04" + payload, payload + b"\x01\x02\x03\x04"):
            with pytest.raises(DesyncError):
                decode(rewrite(stream, payload=longer))

    def test_a_last_word_of_zero(
        self, decode: Callable[[bytes], object], stream: bytes, rewrite: Rewrite
    ) -> None:
        with pytest.raises(DesyncError, match="impossible word"):
            decode(rewrite(stream, payload=read_stream(stream).payload + bytes(4)))

    def test_damaged_bytes(self, decode: Callable[[bytes], object], stream: bytes) -> None:
        with pytest.raises(ChecksumError):
            decode(stream[:-1] + bytes((stream[-1] ^ 1,)))

    def test_another_entropy_tag(
        self, decode: Callable[[bytes], object], stream: bytes, rewrite: Rewrite
    ) -> None:
        with pytest.raises(ModelError, match="tag 00112233"):
            decode(rewrite(stream, entropy_tag=bytes.fromhex("00112233")))

    def test_an_unknown_model(
        self, decode: Callable[[bytes], object], stream: bytes, rewrite: Rewrite
    ) -> None:
        with pytest.raises(ModelError, match="model 77"):
            decode(rewrite(stream, model_id=77))

    def test_more_pixels_than_the_limit(
        self, decode: Callable[[bytes], object], stream: bytes, rewrite: Rewrite
    ) -> None:
        with pytest.raises(LimitError):
            decode(rewrite(stream, width_px=2**20, height_px=2**20))


@pytest.mark.parametrize("runs", [1, 2, 4])
def test_coded_data_that_end_early_cost_no_work_beyond_their_end(
    monkeypatch: pytest.MonkeyPatch, stream: bytes, rewrite: Rewrite, runs: int
) -> None:
    symbols = decode_symbols(stream).runs
    model = entropy_model(codec_named("cdsr1"))
    height, width = 5, 6
    size = hyper_size(height, width)
    writer = SymbolWriter()
    writer.add(symbols[0], model.hyper_indexes(*size), model.hyper)
    walk = model.prior.walk(torch.from_numpy(symbols[0].reshape(1, -1, *size)), height, width)
    for step, run in enumerate(symbols[1:runs]):
        prediction = walk.predict(step)
        writer.add(run, prediction.indexes.numpy(), model.latent)
        walk.fill(step, prediction, torch.from_numpy(run))
    predicted: list[int] = []
    predict = LatentWalk.predict

    def counting(self: LatentWalk, step: int) -> Prediction:
        predicted.append(step)
        return predict(self, step)

    monkeypatch.setattr(LatentWalk, "predict", counting)
    with pytest.raises(DesyncError, match="end before the last symbol"):
        decode_symbols(rewrite(stream, payload=writer.payload()))
    assert predicted == list(range(runs - 1))


def test_words_left_over_are_found_even_where_the_checksum_agrees(
    monkeypatch: pytest.MonkeyPatch, stream: bytes, rewrite: Rewrite
) -> None:
    symbol_crc = read_stream(stream).header.symbol_crc
    monkeypatch.setattr(decoding, "symbol_crc", lambda runs: symbol_crc)
    with pytest.raises(DesyncError, match="left over after the last symbol"):
        decode_symbols(rewrite(stream, height_px=16))


@pytest.mark.parametrize("sr", [0, 2, 3, 16, -4])
def test_a_scale_that_is_neither_1_nor_4_is_refused(stream: bytes, sr: int) -> None:
    with pytest.raises(ValueError, match=f"sr must be 1 or 4, not {sr}"):
        decode_pixels(stream, sr=sr, upscaler="latent", device=CPU)


def test_an_upscaler_that_there_is_not_is_refused_for_sr_4_alone(stream: bytes) -> None:
    with pytest.raises(ModelError, match="'srcnn' does not read files of cdsr1"):
        decode_pixels(stream, sr=4, upscaler="srcnn", device=CPU)
    assert decode_pixels(stream, sr=1, upscaler="srcnn", device=CPU).shape == (80, 96, 3)


@pytest.mark.parametrize("quality", [0.99, 8.01, -1.0, float("nan")])
def test_a_quality_outside_its_range_is_refused(crop: Crop, quality: float) -> None:
    with pytest.raises(ValueError, match="quality must be 1 to 8"):
        encode_pixels(crop(16, 16), quality=quality, codec="cdsr1", device=CPU)


def test_an_unknown_codec_is_refused(crop: Crop) -> None:
    with pytest.raises(ModelError, match="no codec 'cdsr9'"):
        encode_pixels(crop(16, 16), quality=4.0, codec="cdsr9", device=CPU)


@pytest.mark.parametrize("content", [None, b"", b"these are no weights"])
def test_weights_that_are_missing_or_damaged_are_named(
    tmp_path: Path, content: bytes | None
) -> None:
    entry = CodecEntry("cdsr1", 1, tmp_path)
    latent_file = tmp_path / "latent.safetensors"
    upscaler = UpscalerEntry("other", entry.name, latent_file)
    loads: dict[Path, Callable[[], object]] = {
        entry.entropy_file: lambda: entropy_model(entry),
        entry.encoder_file: lambda: encoder_network(entry, CPU),
        entry.decoder_file: lambda: decoder_network(entry, CPU),
        latent_file: lambda: latent_upscaler(upscaler, CPU),
    }
    if content is None:
        with pytest.raises(
            ModelError, match=r"no weights for the upscaler 'other' and files of cdsr1\. "
        ):
            loads.pop(latent_file)()
    for path, load in loads.items():
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(ModelError, match="hint: install cdsrcodec anew") as caught:
            load()
        assert str(caught.value).startswith(f"{path}: the weights cannot be read")
        assert "\n" not in str(caught.value)
        if path == entry.entropy_file:  # which the transforms need to be right
            shutil.copy(codec_named("cdsr1").entropy_file, path)


def test_devices_resolve_without_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve_device("auto") == resolve_device("cpu") == CPU
    with pytest.raises(DeviceError, match="no CUDA device is available"):
        resolve_device("cuda")


def test_devices_resolve_with_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve_device("auto") == resolve_device("cuda") == torch.device("cuda")
    assert resolve_device("cpu") == CPU


def test_an_unknown_device_is_refused() -> None:
    with pytest.raises(DeviceError, match="no device 'tpu'"):
        resolve_device("tpu")
