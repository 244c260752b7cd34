"""The plug-in for Pillow: lazy to open, equal to the API in what it reads and writes."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import cdsrcodec
import cdsrcodec.pillow
from cdsrcodec.container import read_stream
from cdsrcodec.models.registry import CodecEntry

ROOT = Path(__file__).resolve().parents[2]


def picture(mode: str = "RGB") -> Image.Image:
    """A 20x12 ramp."""
    rows, columns = np.mgrid[0:12, 0:20]
    pixels = np.stack([40 + 8 * columns, 60 + 9 * rows, 200 - 7 * columns], axis=-1)
    image = Image.fromarray(pixels.astype(np.uint8)).convert(mode.removesuffix("A"))
    if mode.endswith("A"):
        image.putalpha(Image.linear_gradient("L").resize(image.size))
    return image


def saved(image: Image.Image, **options: object) -> io.BytesIO:
    file = io.BytesIO()
    image.save(file, "CDSR", **options)
    file.seek(0)
    return file


def test_saving_by_extension_gives_the_stream_of_the_api(tmp_path: Path) -> None:
    path = tmp_path / "x.cdsr"
    picture().save(path, quality=5.5)
    assert path.read_bytes() == cdsrcodec.encode(picture(), quality=5.5)
    picture().save(path)
    assert cdsrcodec.info_file(path).quality == 4.0


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA"])
def test_what_is_told_before_decoding_is_what_is_decoded(mode: str) -> None:
    file = saved(picture(mode), dpi=(300, 300))
    with Image.open(file) as image:
        assert (image.format, image.mode, image.size) == ("CDSR", mode, (20, 12))
        assert image.info == {"dpi": (300.0, 300.0)}
        assert image.get_format_mimetype() == "image/x-cdsr"
        pixels = np.asarray(image)
        assert image.info == {"dpi": (300.0, 300.0)}
        copy = image.copy()
    expected = cdsrcodec.decode(file.getvalue())
    assert expected.mode == mode
    np.testing.assert_array_equal(pixels, np.asarray(expected))
    np.testing.assert_array_equal(np.asarray(copy), pixels)


def test_opening_imports_no_torch_and_decodes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x.cdsr"
    picture("RGBA").save(path, dpi=(72, 72))
    code = """
import sys
import cdsrcodec.pillow
from PIL import Image
with Image.open(sys.argv[1]) as image:
    assert (image.size, image.mode) == ((20, 12), "RGBA"), image
    assert image.info == {"dpi": (72.0, 72.0)}, image.info
assert not {"torch", "constriction"} & set(sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], cwd=ROOT, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_metadata_of_the_image_are_kept_unless_others_are_given() -> None:
    image = picture()
    image.info = {"xmp": b"<a/>", "dpi": (300, 300)}
    exif = Image.Exif()
    exif[0x010F] = "Kamera"
    with Image.open(saved(image, exif=exif, dpi=None)) as opened:
        assert opened.info["xmp"] == b"<a/>"
        assert "dpi" not in opened.info
        assert opened.getexif()[0x010F] == "Kamera"
    assert image.info == {"xmp": b"<a/>", "dpi": (300, 300)}
    with Image.open(saved(image, strip={"xmp"})) as opened:
        assert opened.info == {"dpi": (300.0, 300.0)}


def test_an_orientation_that_is_given_is_applied() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(saved(picture(), exif=exif)) as opened:
        assert opened.size == (12, 20)
        assert "exif" not in opened.info


@pytest.mark.parametrize("options", [{}, {"dpi": (300, 300)}], ids=["plain", "with metadata"])
def test_an_animation_is_refused_whatever_it_is_saved_with(options: dict[str, object]) -> None:
    file = io.BytesIO()
    frames = [Image.new("L", (8, 8), shade) for shade in (0, 255)]
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    with (
        Image.open(file) as image,
        pytest.raises(cdsrcodec.CdsrError, match="2 frames or pages"),
    ):
        saved(image, **options)


def test_save_all_saves_the_one_frame_there_is() -> None:
    assert saved(picture(), save_all=True).read() == cdsrcodec.encode(picture())
    with pytest.raises(cdsrcodec.CdsrError, match="one picture"):
        saved(picture(), save_all=True, append_images=[picture()])


def test_options_out_of_range_are_value_errors() -> None:
    with pytest.raises(ValueError, match="quality must be 1 to 8"):
        saved(picture(), quality=85)


def test_a_picture_is_reduced_as_the_api_does_it() -> None:
    file = saved(picture(), downscale=4)
    with Image.open(file) as opened:
        assert opened.size == (5, 3)
    assert file.getvalue() == cdsrcodec.encode(picture(), downscale=4)
    assert cdsrcodec.info(file.getvalue()).full_width_px == 20


def test_weights_are_chosen_by_codec_and_metric(hyperprior: CodecEntry) -> None:
    with Image.open(saved(picture(), codec=hyperprior.name, metric="mse")) as opened:
        assert opened.size == (20, 12)
    with pytest.raises(cdsrcodec.CdsrError, match="quality 4 and ms-ssim are installed"):
        saved(picture(), codec=hyperprior.name, metric="ms-ssim")


def test_a_damaged_file_is_an_os_error_that_says_why() -> None:
    data = saved(picture()).getvalue()
    with pytest.raises(OSError, match="its checksum fails"):
        Image.open(io.BytesIO(data[:-1]))
    with pytest.raises(OSError, match="cut short"):
        Image.open(io.BytesIO(data[:9]))


def test_a_file_that_does_not_decode_is_an_os_error_at_load(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Image.open(saved(picture())) as image:
        monkeypatch.setattr(cdsrcodec.api, "decode", desynchronised)
        with pytest.raises(OSError, match="other symbols") as caught:
            image.load()
        assert isinstance(caught.value.__cause__, cdsrcodec.CdsrError)


def desynchronised(_data: bytes) -> Image.Image:
    raise cdsrcodec.CdsrError("other symbols")


def test_a_file_opened_by_name_is_closed_once_it_is_decoded(tmp_path: Path) -> None:
    path = tmp_path / "x.cdsr"
    picture().save(path)
    image = Image.open(path)
    image.load()
    assert image.fp is None  # or the test suite would see a ResourceWarning
    path.unlink()
    assert image.resize((5, 3)).size == (5, 3)


def test_other_formats_are_still_opened_by_their_plug_ins() -> None:
    file = io.BytesIO()
    picture().save(file, "PNG")
    with Image.open(file) as image:
        assert image.format == "PNG"
    assert read_stream(saved(picture()).getvalue()).header.width_px == 20
