"""The Python interface: what it takes, gives, refuses and imports."""

from __future__ import annotations

import dataclasses
import io
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import cdsrcodec
import cdsrcodec.pillow  # which makes Pillow save them
from cdsrcodec.container import Chunk, read_stream, write_stream
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
from cdsrcodec.models.registry import codec_named

ROOT = Path(__file__).resolve().parents[2]
CAT = ROOT / "sample_images" / "cat.png"


@pytest.fixture(scope="module")
def image() -> Image.Image:
    """A 48x36 photograph, without the metadata of its file."""
    with Image.open(CAT) as cat:
        return Image.fromarray(np.asarray(cat.convert("RGB").crop((150, 80, 198, 116))))


@pytest.fixture(scope="module")
def pixels(image: Image.Image) -> NDArray[np.uint8]:
    return np.asarray(image)


@pytest.fixture(scope="module")
def data(image: Image.Image) -> bytes:
    """The photograph at quality 4.5."""
    return cdsrcodec.encode(image, quality=4.5, device="cpu")


@pytest.fixture
def picture(tmp_path: Path, image: Image.Image) -> Path:
    path = tmp_path / "in.png"
    image.save(path)
    return path


@pytest.fixture
def stream(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "in.cdsr"
    path.write_bytes(data)
    return path


def with_header(data: bytes, **fields: object) -> bytes:
    """The stream with other header fields and a right byte CRC."""
    stream = read_stream(data)
    header = dataclasses.replace(stream.header, **fields)  # type: ignore[arg-type]
    return write_stream(dataclasses.replace(stream, header=header))


def desynchronised(data: bytes) -> bytes:
    return with_header(data, symbol_crc=read_stream(data).header.symbol_crc ^ 1)


def psnr_rgb_db(x: NDArray[np.uint8], x_hat: NDArray[np.uint8]) -> float:
    mse = np.mean((x.astype(float) - x_hat.astype(float)) ** 2)
    return float(10 * np.log10(255**2 / mse))


def modules_after(code: str, *arguments: str | Path) -> set[str]:
    """Top-level modules that a new process has imported at the end of the code."""
    listing = "\nimport sys\nsys.stdout.write(' '.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code + listing, *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    modules = {name.split(".")[0] for name in done.stdout.split()}
    assert "cdsrcodec" in modules
    return modules


class TestImports:
    def test_the_package_imports_nothing_heavy(self) -> None:
        heavy = {"torch", "numpy", "PIL", "compressai", "constriction", "safetensors"}
        assert not modules_after("import cdsrcodec; dir(cdsrcodec)") & heavy

    def test_info_imports_no_torch_and_no_numpy(self, stream: Path) -> None:
        code = """
import sys
from pathlib import Path
import cdsrcodec
assert cdsrcodec.info(Path(sys.argv[1]).read_bytes()).width_px == 48
assert cdsrcodec.info_file(Path(sys.argv[1])).width_px == 48
"""
        assert not modules_after(code, stream) & {"torch", "numpy", "compressai"}

    def test_encoding_and_decoding_never_import_compressai(
        self, picture: Path, tmp_path: Path
    ) -> None:
        code = """
import sys
from pathlib import Path
import cdsrcodec
source, folder = map(Path, sys.argv[1:])
cdsrcodec.encode_file(source, folder / "a.cdsr", device="cpu", measure_psnr=True)
cdsrcodec.verify_file(folder / "a.cdsr")
cdsrcodec.decode_file(folder / "a.cdsr", folder / "a.png", device="cpu")
cdsrcodec.decode_file(folder / "a.cdsr", folder / "b.png", sr=4, device="cpu")
"""
        modules = modules_after(code, picture, tmp_path)
        assert "torch" in modules
        assert not modules & {"compressai", "torchvision", "scipy", "click", "rich"}

    def test_every_public_name_is_found_and_no_other(self) -> None:
        for name in cdsrcodec.__all__:
            assert getattr(cdsrcodec, name).__name__ == name
        assert set(cdsrcodec.__all__) <= set(dir(cdsrcodec))
        with pytest.raises(AttributeError, match="'cdsrcodec' has no attribute 'encoder'"):
            cdsrcodec.encoder  # noqa: B018


class TestEncode:
    def test_an_image_and_its_pixels_give_the_same_stream(
        self, image: Image.Image, pixels: NDArray[np.uint8], data: bytes
    ) -> None:
        assert cdsrcodec.encode(pixels, quality=4.5, device="cpu") == data
        assert cdsrcodec.encode(image.convert("RGBA"), quality=4.5, device="cpu") == data

    def test_pixels_in_any_memory_order_give_the_same_stream(
        self, pixels: NDArray[np.uint8], data: bytes
    ) -> None:
        for same in (
            np.asfortranarray(pixels),
            np.array(pixels[::-1, ::-1, ::-1])[::-1, ::-1, ::-1],
        ):
            assert cdsrcodec.encode(same, quality=4.5, device="cpu") == data

    def test_the_picture_is_left_as_it_was(self, pixels: NDArray[np.uint8]) -> None:
        mine = pixels.copy()
        cdsrcodec.encode(mine, device="cpu")
        assert np.array_equal(mine, pixels)

    def test_quality_is_4_unless_told(self, image: Image.Image) -> None:
        assert cdsrcodec.info(cdsrcodec.encode(image, device="cpu")).quality == 4

    def test_a_target_finds_the_quality(self, image: Image.Image, data: bytes) -> None:
        found = cdsrcodec.encode(image, target_size_bytes=len(data), device="cpu")
        assert len(found) <= len(data)
        assert cdsrcodec.info(found).quality >= 4.5

    def test_a_target_beside_a_quality_or_another_target_is_refused(
        self, image: Image.Image
    ) -> None:
        with pytest.raises(ValueError, match="give a quality or a target, not both"):
            cdsrcodec.encode(image, quality=4.0, target_bpp=1.0)
        with pytest.raises(ValueError, match="a target is one of size, bpp and PSNR, not 2"):
            cdsrcodec.encode(image, target_size_bytes=1000, target_psnr_db=30.0)

    def test_a_grey_image_comes_back_grey(self, image: Image.Image) -> None:
        grey = image.convert("L")
        decoded = cdsrcodec.decode(cdsrcodec.encode(grey, quality=8, device="cpu"), device="cpu")
        assert decoded.mode == "L"
        assert psnr_rgb_db(np.asarray(grey), np.asarray(decoded)) > 32

    @pytest.mark.parametrize(
        "array",
        [
            np.zeros((8, 8, 3), np.float32),
            np.zeros((8, 8, 3), np.int64),
            np.zeros((8, 8, 3), np.bool_),
            np.zeros((8, 8), np.uint8),
            np.zeros((8, 8, 4), np.uint8),
            np.zeros((1, 8, 8, 3), np.uint8),
            np.zeros((0, 8, 3), np.uint8),
        ],
        ids=lambda array: f"{array.dtype}-{array.shape}",
    )
    def test_an_array_that_is_no_picture_is_refused(self, array: NDArray[np.uint8]) -> None:
        with pytest.raises(InputImageError, match=r"must be uint8 \(H, W, 3\), not .* hint: "):
            cdsrcodec.encode(array)

    def test_metadata_to_strip_that_do_not_exist_are_refused(self, image: Image.Image) -> None:
        with pytest.raises(ValueError, match="strip must be of all, exif, xmp, icc, not 'iptc'"):
            cdsrcodec.encode(image, strip={"iptc"}, device="cpu")

    @pytest.mark.parametrize("strip", ["xmp,exif", ("exif", "xmp"), "all", ["all"]])
    def test_metadata_to_strip_are_words_or_one_string(
        self, image: Image.Image, data: bytes, strip: str | list[str]
    ) -> None:
        tagged = image.copy()
        tagged.info["xmp"] = b"<a/>"
        assert cdsrcodec.encode(tagged, quality=4.5, strip=strip, device="cpu") == data

    @pytest.mark.parametrize("name", ["quality", "target_size_bytes", "target_bpp"])
    def test_what_is_no_number_is_named(self, image: Image.Image, name: str) -> None:
        wrong: dict[str, Any] = {name: "4"}
        with pytest.raises(TypeError, match=f"^{name} must be a number, not str$"):
            cdsrcodec.encode(image, **wrong)

    @pytest.mark.parametrize("limit", ["1GB", 2e9])
    def test_a_limit_of_memory_is_a_whole_number(
        self, image: Image.Image, data: bytes, limit: object
    ) -> None:
        wrong: dict[str, Any] = {"max_memory_bytes": limit}
        for work in (
            partial(cdsrcodec.encode, image),
            partial(cdsrcodec.decode, data),
            partial(cdsrcodec.upscale, image),
        ):
            with pytest.raises(TypeError, match="max_memory_bytes must be a whole number of bytes"):
                work(**wrong)

    @pytest.mark.parametrize("quality", [0.5, 9, float("nan")])
    def test_a_quality_out_of_range_is_refused(self, image: Image.Image, quality: float) -> None:
        with pytest.raises(ValueError, match="quality must be 1 to 8"):
            cdsrcodec.encode(image, quality=quality)

    def test_nobody_is_given_a_stream_whose_symbols_do_not_come_back(
        self, monkeypatch: pytest.MonkeyPatch, image: Image.Image
    ) -> None:
        monkeypatch.setattr("cdsrcodec.codec.encoding.decode_symbols", other_symbols)
        file = io.BytesIO()
        for encode in (
            lambda: cdsrcodec.encode(image, device="cpu"),
            lambda: cdsrcodec.encode(image, target_bpp=3.0, device="cpu"),
            lambda: image.save(file, "CDSR"),
        ):
            with pytest.raises(DesyncError, match="other symbols"):
                encode()
        assert file.getvalue() == b""

    def test_the_symbols_are_decoded_again_once(
        self, monkeypatch: pytest.MonkeyPatch, image: Image.Image, picture: Path, tmp_path: Path
    ) -> None:
        decoded: list[bytes] = []
        monkeypatch.setattr("cdsrcodec.codec.encoding.decode_symbols", decoded.append)
        data = cdsrcodec.encode(image, device="cpu")
        assert decoded == [data]
        cdsrcodec.encode_file(picture, tmp_path / "out.cdsr", device="cpu")
        assert decoded == [data, data]

    def test_effort_is_told_step_by_step(self, image: Image.Image, data: bytes) -> None:
        steps: list[tuple[int, int]] = []
        refined = cdsrcodec.encode(
            image, quality=4.5, effort=1, device="cpu", on_step=lambda *step: steps.append(step)
        )
        assert steps[-1] == (10, 10)
        assert cdsrcodec.info(refined).quality == 4.5
        assert cdsrcodec.encode(image, quality=4.5, effort=0, device="cpu") == data

    def test_an_effort_may_be_a_float_that_is_whole(self, image: Image.Image) -> None:
        # As json and numpy hand numbers over.
        data = cdsrcodec.encode(image, effort=1.0, device="cpu")  # type: ignore[arg-type]
        assert data == cdsrcodec.encode(image, effort=1, device="cpu")

    def test_an_effort_out_of_range_is_refused(self, image: Image.Image) -> None:
        with pytest.raises(ValueError, match="effort must be 0 to 9, not 10"):
            cdsrcodec.encode(image, effort=10)

    def test_an_unknown_codec_or_device_is_refused(self, image: Image.Image) -> None:
        with pytest.raises(ModelError, match="no codec 'jpeg'"):
            cdsrcodec.encode(image, codec="jpeg")
        with pytest.raises(DeviceError, match="no device 'tpu'"):
            cdsrcodec.encode(image, device="tpu")


class TestDecode:
    def test_the_picture_comes_back(self, pixels: NDArray[np.uint8], data: bytes) -> None:
        decoded = cdsrcodec.decode(data, device="cpu")
        assert decoded.mode == "RGB"
        assert decoded.size == (48, 36)
        assert psnr_rgb_db(pixels, np.asarray(decoded)) > 26

    def test_sr_4_is_four_times_as_large(self, data: bytes) -> None:
        decoded = cdsrcodec.decode(data, sr=4, device="cpu")
        assert decoded.mode == "RGB"
        assert decoded.size == (192, 144)

    def test_what_cannot_be_decoded_is_refused(self, data: bytes) -> None:
        with pytest.raises(ValueError, match="sr must be 1 or 4, not 2"):
            cdsrcodec.decode(data, sr=2)  # type: ignore[arg-type]
        with pytest.raises(ModelError, match="upscaler 'magic'"):
            cdsrcodec.decode(data, sr=4, upscaler="magic")
        with pytest.raises(DeviceError, match="no device 'gpu'"):
            cdsrcodec.decode(data, device="gpu")
        with pytest.raises(DesyncError):
            cdsrcodec.decode(desynchronised(data), device="cpu")
        with pytest.raises(ModelError, match="model 9"):
            cdsrcodec.decode(with_header(data, model_id=9))


def other_symbols(_data: bytes) -> None:
    raise DesyncError("other symbols")


class TestInfo:
    def test_it_tells_what_the_header_says(self, data: bytes) -> None:
        info = cdsrcodec.info(data)
        assert info == cdsrcodec.StreamInfo(
            version=1,
            codec="cdsr1",
            model_id=1,
            entropy_tag=codec_named("cdsr1").entropy_tag().hex(),
            installed=True,
            weights_error=None,
            quality=4.5,
            width_px=48,
            height_px=36,
            stream_bytes=len(data),
            header_bytes=21,
            payload_bytes=len(data) - 21,
            bpp=8 * len(data) / (48 * 36),
            source=None,
            full_width_px=None,
            full_height_px=None,
            chunks=(),
        )

    def test_chunks_are_listed_and_counted_with_the_header(self, data: bytes) -> None:
        chunks = (Chunk(b"exif", b"abc"), Chunk(b"orig", b""))
        longer = write_stream(dataclasses.replace(read_stream(data), chunks=chunks))
        info = cdsrcodec.info(longer)
        assert [dataclasses.astuple(chunk) for chunk in info.chunks] == [
            ("exif", 3, False),
            ("orig", 0, False),
        ]
        assert info.header_bytes == 21 + 1 + (4 + 1 + 3) + (4 + 1)
        assert info.payload_bytes == len(data) - 21
        assert info.bpp == 8 * len(longer) / (48 * 36)

    def test_it_checks_the_bytes_but_decodes_nothing(self, data: bytes) -> None:
        assert cdsrcodec.info(desynchronised(data)).width_px == 48
        with pytest.raises(ChecksumError):
            cdsrcodec.info(data[:-1])

    def test_it_needs_no_weights_and_tells_whether_they_are_here(self, data: bytes) -> None:
        info = cdsrcodec.info(with_header(data, model_id=9))
        assert (info.codec, info.model_id, info.installed, info.width_px) == (None, 9, False, 48)
        assert "model 9, which this version does not have" in (info.weights_error or "")


class TestBytes:
    @pytest.mark.parametrize("kind", [bytearray, memoryview, partial(np.frombuffer, dtype="u1")])
    def test_a_stream_may_be_anything_like_bytes(
        self, data: bytes, kind: Callable[[bytes], Any]
    ) -> None:
        assert cdsrcodec.info(kind(data)) == cdsrcodec.info(data)
        assert cdsrcodec.decode(kind(data), device="cpu").size == (48, 36)

    @pytest.mark.parametrize("kind", [str, Path])
    def test_the_name_of_a_file_is_no_stream(
        self, stream: Path, kind: Callable[[Path], Any]
    ) -> None:
        message = "data must be the bytes of a stream, not .*. hint: {} takes a path"
        with pytest.raises(TypeError, match=message.format("decode_file")):
            cdsrcodec.decode(kind(stream))
        with pytest.raises(TypeError, match=message.format("info_file")):
            cdsrcodec.info(kind(stream))


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
