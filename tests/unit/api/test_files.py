"""The Python interface with files: what it takes, gives and refuses."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import cdsrcodec
import cdsrcodec.pillow  # which makes Pillow save them
from cdsrcodec.errors import (
    BadMagicError,
    CdsrError,
    ChecksumError,
    DesyncError,
    DeviceError,
    FileAccessError,
    InputImageError,
    LimitError,
    ModelError,
    OutputExistsError,
)
from tests.unit.api.changed_streams import desynchronised, other_symbols, psnr_rgb_db, with_header


class TestEncodeFile:
    def test_the_file_is_the_stream_and_the_report_tells_of_it(
        self, picture: Path, tmp_path: Path, data: bytes
    ) -> None:
        target = tmp_path / "out.cdsr"
        report = cdsrcodec.encode_file(picture, target, quality=4.5, device="cpu")
        assert target.read_bytes() == data
        assert (report.width_px, report.height_px) == (48, 36)
        assert report.stream_bytes == len(data)
        assert report.bpp == 8 * len(data) / (48 * 36)
        assert report.psnr_rgb_db is None
        assert 0 < report.elapsed_s < 60
        assert report.device == "cpu"

    def test_psnr_is_that_of_the_decoded_file(
        self, picture: Path, tmp_path: Path, pixels: NDArray[np.uint8], data: bytes
    ) -> None:
        report = cdsrcodec.encode_file(
            picture, tmp_path / "out.cdsr", quality=4.5, device="cpu", measure_psnr=True
        )
        decoded = np.asarray(cdsrcodec.decode(data, device="cpu"))
        assert report.psnr_rgb_db == pytest.approx(psnr_rgb_db(pixels, decoded), abs=1e-6)

    def test_an_existing_target_is_replaced_only_when_told(
        self, picture: Path, tmp_path: Path, data: bytes
    ) -> None:
        target = tmp_path / "out.cdsr"
        target.write_bytes(b"precious")
        with pytest.raises(OutputExistsError) as caught:
            cdsrcodec.encode_file(picture, target, quality=4.5, device="cpu")
        assert str(caught.value).startswith(f"{target}: ")
        assert target.read_bytes() == b"precious"
        cdsrcodec.encode_file(picture, target, quality=4.5, device="cpu", overwrite=True)
        assert target.read_bytes() == data

    def test_nothing_is_written_when_the_symbols_do_not_come_back(
        self, monkeypatch: pytest.MonkeyPatch, picture: Path, tmp_path: Path
    ) -> None:
        monkeypatch.setattr("cdsrcodec.codec.encoding.decode_symbols", other_symbols)
        with pytest.raises(DesyncError) as caught:
            cdsrcodec.encode_file(picture, tmp_path / "out.cdsr", device="cpu")
        assert str(caught.value) == f"{picture}: other symbols"
        assert list(tmp_path.iterdir()) == [picture]

    @pytest.mark.parametrize(
        ("content", "error"),
        [(b"", InputImageError), (b"no picture", InputImageError), (None, FileAccessError)],
        ids=["empty", "text", "missing"],
    )
    def test_a_source_that_is_no_picture_is_named(
        self, tmp_path: Path, content: bytes | None, error: type[CdsrError]
    ) -> None:
        source = tmp_path / "in.png"
        if content is not None:
            source.write_bytes(content)
        before = list(tmp_path.iterdir())
        with pytest.raises(error) as caught:
            cdsrcodec.encode_file(source, tmp_path / "out.cdsr")
        assert str(caught.value).startswith(f"{source}: ")
        assert list(tmp_path.iterdir()) == before

    def test_arguments_out_of_range_are_refused(self, picture: Path, tmp_path: Path) -> None:
        target = tmp_path / "out.cdsr"
        with pytest.raises(ValueError, match="effort must be 0 to 9"):
            cdsrcodec.encode_file(picture, target, effort=-1)
        with pytest.raises(ValueError, match="quality must be 1 to 8"):
            cdsrcodec.encode_file(picture, target, quality=0)
        with pytest.raises(DeviceError):
            cdsrcodec.encode_file(picture, target, device="tpu")
        with pytest.raises(ModelError, match="no codec 'jpeg'"):
            cdsrcodec.encode_file(picture, target, codec="jpeg")
        nameless = picture.rename(tmp_path / "in")
        with pytest.raises(OutputExistsError, match="the output is the input"):
            cdsrcodec.encode_file(nameless, nameless, overwrite=True)
        assert not target.exists()


class TestDecodeFile:
    @pytest.mark.parametrize("sr", [1, 4])
    def test_the_picture_is_written_and_the_report_tells_of_it(
        self, stream: Path, tmp_path: Path, data: bytes, sr: cdsrcodec.api.Sr
    ) -> None:
        target = tmp_path / "out.png"
        report = cdsrcodec.decode_file(stream, target, sr=sr, device="cpu")
        with Image.open(target) as written:
            assert written.format == "PNG"
            expected = np.asarray(cdsrcodec.decode(data, sr=sr, device="cpu"))
            assert np.array_equal(np.asarray(written), expected)
        assert (report.width_px, report.height_px) == (48 * sr, 36 * sr)
        assert 0 < report.elapsed_s < 60
        assert report.device == "cpu"

    def test_the_import_of_torch_is_no_part_of_the_time_of_the_work(
        self, picture: Path, stream: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from cdsrcodec import codec

        now_s = 0.0

        class SlowToImport(ModuleType):
            """The module of the codec, which takes a hundred seconds until it is there."""

            def __getattr__(self, name: str) -> object:
                nonlocal now_s
                now_s += 100.0
                vars(self).update(vars(codec))
                return getattr(codec, name)

        clock = SimpleNamespace(perf_counter=lambda: now_s)
        monkeypatch.setattr("cdsrcodec.api.files.time", clock)
        monkeypatch.setattr("cdsrcodec.api.enlargement.time", clock)
        for work in (
            partial(cdsrcodec.encode_file, picture, tmp_path / "x.cdsr"),
            partial(cdsrcodec.decode_file, stream, tmp_path / "x.png"),
            partial(cdsrcodec.upscale_file, picture, tmp_path / "x.bmp"),
        ):
            begin_s = now_s
            monkeypatch.setitem(sys.modules, "cdsrcodec.codec", SlowToImport("cdsrcodec.codec"))
            assert work(device="cpu").elapsed_s == 0.0
            assert now_s == begin_s + 100.0

    def test_an_existing_target_is_replaced_only_when_told(
        self, stream: Path, tmp_path: Path
    ) -> None:
        target = tmp_path / "out.bmp"
        target.write_bytes(b"precious")
        with pytest.raises(OutputExistsError):
            cdsrcodec.decode_file(stream, target, device="cpu")
        assert target.read_bytes() == b"precious"
        cdsrcodec.decode_file(stream, target, device="cpu", overwrite=True)
        with Image.open(target) as written:
            assert (written.format, written.size) == ("BMP", (48, 36))

    def test_an_extension_that_is_no_picture_format_is_refused(
        self, stream: Path, tmp_path: Path
    ) -> None:
        with pytest.raises(InputImageError, match=r"no picture format for the extension '\.doc'"):
            cdsrcodec.decode_file(stream, tmp_path / "out.doc")
        assert list(tmp_path.iterdir()) == [stream]

    def test_a_size_that_the_format_cannot_hold_is_refused_before_decoding(
        self, stream: Path, tmp_path: Path, data: bytes
    ) -> None:
        stream.write_bytes(with_header(data, width_px=20_000, height_px=1))
        with pytest.raises(LimitError, match="80000x4 px, but JPEG holds at most 65500"):
            cdsrcodec.decode_file(stream, tmp_path / "out.jpg", sr=4)

    @pytest.mark.parametrize(
        ("breaks", "error"),
        [
            (lambda data: data[:-1], ChecksumError),
            (desynchronised, DesyncError),
            (lambda data: with_header(data, entropy_tag=b"abcd"), ModelError),
            (lambda data: with_header(data, width_px=2**20, height_px=2**20), LimitError),
        ],
        ids=["damaged", "desynchronised", "other weights", "too large"],
    )
    def test_a_stream_that_cannot_be_decoded_is_named(
        self,
        stream: Path,
        tmp_path: Path,
        data: bytes,
        breaks: Callable[[bytes], bytes],
        error: type[CdsrError],
    ) -> None:
        stream.write_bytes(breaks(data))
        with pytest.raises(error) as caught:
            cdsrcodec.decode_file(stream, tmp_path / "out.png", device="cpu")
        message = str(caught.value)
        assert message.startswith(f"{stream}: ")
        assert message.count(str(stream)) == 1
        assert "\n" not in message
        assert list(tmp_path.iterdir()) == [stream]

    def test_the_place_of_damage_is_kept(self, stream: Path, tmp_path: Path, data: bytes) -> None:
        stream.write_bytes(data[:-1])
        with pytest.raises(ChecksumError) as caught:
            cdsrcodec.decode_file(stream, tmp_path / "out.png")
        assert caught.value.offset == 13

    def test_a_source_that_cannot_be_read_is_named(self, tmp_path: Path) -> None:
        for source in (tmp_path / "missing.cdsr", tmp_path):
            with pytest.raises(FileAccessError) as caught:
                cdsrcodec.decode_file(source, tmp_path / "out.png")
            assert str(caught.value).startswith(f"{source}: ")


class TestInfoFileAndVerifyFile:
    def test_of_another_file_no_more_is_read_than_its_beginning(self, tmp_path: Path) -> None:
        film = tmp_path / "film.mp4"
        with film.open("wb") as file:
            file.truncate(2**42)  # of a hole, more than any memory has
        for read in (cdsrcodec.info_file, cdsrcodec.verify_file):
            with pytest.raises(BadMagicError, match=f"^{film}: not a .cdsr file"):
                read(film)

    def test_both_tell_what_info_tells(self, stream: Path, data: bytes) -> None:
        assert cdsrcodec.info_file(stream) == cdsrcodec.info(data)
        assert cdsrcodec.verify_file(stream) == cdsrcodec.info(data)

    def test_only_verify_decodes_the_symbols(self, stream: Path, data: bytes) -> None:
        stream.write_bytes(desynchronised(data))
        assert cdsrcodec.info_file(stream).width_px == 48
        with pytest.raises(DesyncError) as caught:
            cdsrcodec.verify_file(stream)
        assert str(caught.value).startswith(f"{stream}: the bytes are intact but decode to other")

    @pytest.mark.parametrize("read", [cdsrcodec.info_file, cdsrcodec.verify_file])
    def test_what_is_wrong_is_told_with_the_file(
        self, stream: Path, data: bytes, read: Callable[[Path], cdsrcodec.StreamInfo]
    ) -> None:
        stream.write_bytes(data[:15])
        with pytest.raises(CdsrError) as caught:
            read(stream)
        assert str(caught.value).startswith(f"{stream}: the file ends inside its header")
        stream.unlink()
        with pytest.raises(FileAccessError, match="cannot be read") as missing:
            read(stream)
        assert str(missing.value).startswith(f"{stream}: ")
