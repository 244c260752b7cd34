"""Every mode and quirk of picture files, read as upright 8-bit sRGB."""

from __future__ import annotations

import errno
import io
import os
import struct
import threading
import warnings
import zlib
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from cdsrcodec.container.header import MAGIC
from cdsrcodec.errors import CdsrError, FileAccessError, InputImageError, LimitError
from cdsrcodec.imageio.reader import OWN_MAGIC, read_picture, read_rgb, to_picture

Pixels = NDArray[np.uint8]

# Two published profiles would need their licences; these are built from their definitions.
D65_TO_D50 = np.array(
    [
        [1.0479298, 0.0229468, -0.0501922],
        [0.0296278, 0.9904345, -0.0170738],
        [-0.0092430, 0.0150552, 0.7518743],
    ]
)
ADOBE_RGB_TO_XYZ = np.array(
    [
        [0.5766690, 0.1855582, 0.1882286],
        [0.2973450, 0.6273636, 0.0752915],
        [0.0270314, 0.0706889, 0.9913375],
    ]
)
ADOBE_RGB_GAMMA = 563 / 256


def s15fixed16(value: float) -> bytes:
    return struct.pack(">i", round(value * 65536))


def icc_profile(colour_space: bytes, tags: dict[bytes, bytes]) -> bytes:
    """An ICC version 2 display profile with these tags (ICC.1:2001-04, clauses 6.1 and 6.2)."""
    table, body = b"", b""
    offset = 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        padded = data + bytes(-len(data) % 4)
        table += name + struct.pack(">II", offset + len(body), len(data))
        body += padded
    white = b"".join(map(s15fixed16, (0.9642, 1.0, 0.8249)))
    header = struct.pack(">I4sI4s4s4s", offset + len(body), b"", 0x02100000, b"mntr", colour_space, b"XYZ ")  # fmt: skip  # noqa: E501
    header += bytes(12) + b"acsp" + bytes(28) + white + bytes(48)
    return header + struct.pack(">I", len(tags)) + table + body


def gamma_curve(gamma: float) -> bytes:
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256))


def xyz(values: NDArray[np.float64]) -> bytes:
    return b"XYZ " + bytes(4) + b"".join(s15fixed16(value) for value in values)


def adobe_rgb_profile() -> bytes:
    colorants = (D65_TO_D50 @ ADOBE_RGB_TO_XYZ).T
    tags = {b"wtpt": xyz(np.array([0.9642, 1.0, 0.8249]))}
    tags |= {bytes([c]) + b"XYZ": xyz(colorants[i]) for i, c in enumerate(b"rgb")}
    tags |= {bytes([c]) + b"TRC": gamma_curve(ADOBE_RGB_GAMMA) for c in b"rgb"}
    return icc_profile(b"RGB ", tags)


def grey_profile(gamma: float) -> bytes:
    white = xyz(np.array([0.9642, 1.0, 0.8249]))
    return icc_profile(b"GRAY", {b"wtpt": white, b"kTRC": gamma_curve(gamma)})


def srgb_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def adobe_rgb_to_srgb(values: Pixels) -> NDArray[np.float64]:
    """The conversion from its definitions, in floating point, 0..255."""
    linear = (values / 255.0) ** ADOBE_RGB_GAMMA
    srgb_to_xyz = np.array(
        [
            [0.4124564, 0.3575761, 0.1804375],
            [0.2126729, 0.7151522, 0.0721750],
            [0.0193339, 0.1191920, 0.9503041],
        ]
    )
    linear = np.clip(linear @ (np.linalg.inv(srgb_to_xyz) @ ADOBE_RGB_TO_XYZ).T, 0.0, 1.0)
    curved = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.asarray(255.0 * curved)


def reopened(image: Image.Image, name: str = "PNG", **options: object) -> Image.Image:
    """The image after a trip through a file format."""
    file = io.BytesIO()
    image.save(file, name, **cast(Any, options))
    return Image.open(file)


def to_rgb(image: Image.Image) -> Pixels:
    """The pixels of an opaque image."""
    picture = to_picture(image)
    assert picture.alpha is None
    return picture.pixels


def furthest(a: NDArray[Any], b: NDArray[Any]) -> float:
    return float(np.abs(a.astype(np.float64) - b.astype(np.float64)).max())


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".ppm", ".tif", ".qoi", ".tga"])
def test_a_lossless_file_gives_its_pixels(tmp_path: Path, pixels: Pixels, suffix: str) -> None:
    path = tmp_path / f"x{suffix}"
    Image.fromarray(pixels).save(path)
    read = read_rgb(path, max_pixels=1000)
    assert read.dtype == np.uint8
    assert read.flags.writeable
    np.testing.assert_array_equal(read, pixels)


def test_an_extension_that_lies_does_no_harm(tmp_path: Path, pixels: Pixels) -> None:
    path = tmp_path / "x.jpg"
    Image.fromarray(pixels).save(path, "PNG")
    np.testing.assert_array_equal(read_rgb(path, max_pixels=1000), pixels)


def test_grey_gives_three_equal_channels(pixels: Pixels) -> None:
    grey = pixels[..., 0]
    read = to_rgb(reopened(Image.fromarray(grey)))
    np.testing.assert_array_equal(read, np.stack([grey] * 3, axis=-1))


def test_one_bit_gives_black_and_white() -> None:
    bits = np.array([[True, False], [False, False]])
    read = to_rgb(reopened(Image.fromarray(bits)))
    np.testing.assert_array_equal(read[..., 1], np.where(bits, 255, 0))


def test_a_palette_gives_its_colours() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 0), 1)
    assert to_rgb(reopened(image)).tolist() == [[[10, 20, 30], [40, 50, 60]]]


@pytest.mark.parametrize(
    ("mode", "tolerance"), [("CMYK", 0), ("YCbCr", 3), ("HSV", 5), ("RGBX", 0)]
)
def test_other_colour_models_are_converted(pixels: Pixels, mode: str, tolerance: int) -> None:
    image = Image.fromarray(pixels)
    assert furthest(to_rgb(image.convert(mode)), pixels) <= tolerance


def test_lab_is_converted(pixels: Pixels) -> None:
    muted = pixels // 4 + 96  # 8-bit Lab is coarse where a channel is dark and saturated
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    image = ImageCms.profileToProfile(Image.fromarray(muted), srgb, lab, outputMode="LAB")
    assert image is not None
    assert image.mode == "LAB"
    assert furthest(to_rgb(image), muted) <= 3


@pytest.mark.parametrize("name", ["PNG", "TIFF", "PPM", "JPEG2000"])
def test_16_bit_grey_is_scaled_not_clipped(name: str) -> None:
    values = np.linspace(0, 65535, 23 * 40).reshape(23, 40).astype(np.uint16)
    read = to_rgb(reopened(Image.fromarray(values), name))
    np.testing.assert_array_equal(read[..., 0], np.floor(values / 257 + 0.5))


@pytest.mark.parametrize("values", [[-1, 0], [0, 65536]])
def test_integers_beyond_16_bits_are_refused(values: list[int]) -> None:
    with pytest.raises(InputImageError, match="beyond 16 bits"):
        to_rgb(Image.fromarray(np.array([values], dtype=np.int32)))


def test_floats_from_0_to_1_are_scaled() -> None:
    values = np.array([[0.0, 0.25, 0.5, 1.0]], dtype=np.float32)
    assert to_rgb(reopened(Image.fromarray(values), "TIFF"))[0, :, 2].tolist() == [0, 64, 128, 255]


@pytest.mark.parametrize("value", [-0.01, 1.01, float("nan"), float("inf")])
def test_floats_outside_0_to_1_are_refused(value: float) -> None:
    with pytest.raises(InputImageError, match=r"outside 0\.\.1\. hint: "):
        to_rgb(Image.fromarray(np.array([[0.5, value]], dtype=np.float32)))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "RGBa", "La"])
def test_an_opaque_alpha_channel_is_dropped(mode: str) -> None:
    colour = Image.new("L", (3, 2), 90)
    via = {"RGBa": "RGBA", "La": "LA"}.get(mode, mode)
    image = colour.convert("P").convert("PA") if mode == "PA" else colour.convert(via).convert(mode)
    assert to_rgb(image).tolist() == [[[90, 90, 90]] * 3] * 2


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "RGBa", "La"])
def test_an_alpha_channel_is_taken_off_as_it_is(mode: str) -> None:
    alpha = Image.new("L", (3, 2), 255)
    alpha.putpixel((1, 1), 254)
    if mode == "PA":
        image = Image.new("L", (3, 2), 90).convert("P").convert("PA")
        image.putalpha(alpha)
    else:
        image = Image.new("RGBA", (3, 2), (90, 90, 90, 255))
        image.putalpha(alpha)
        image = image.convert("LA") if mode in {"LA", "La"} else image
        image = image.convert(mode)
    picture = to_picture(image)
    assert picture.alpha is not None
    assert picture.alpha.tolist() == [[255, 255, 255], [255, 254, 255]]
    assert furthest(picture.pixels, np.full((2, 3, 3), 90)) <= 1


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "P", "I;16"])
def test_a_transparent_colour_counts_only_where_it_is_used(mode: str) -> None:
    used: int | tuple[int, int, int] = (0, 0, 0) if mode == "RGB" else 0
    unused: int | tuple[int, int, int] = (1, 2, 3) if mode == "RGB" else 1
    blank = Image.new(mode, (3, 2))
    opaque = reopened(blank, transparency=unused)
    assert opaque.has_transparency_data
    assert to_rgb(opaque).tolist() == [[[0, 0, 0]] * 3] * 2
    hidden = to_picture(reopened(blank, transparency=used)).alpha
    assert hidden is not None
    assert hidden.tolist() == [[0, 0, 0]] * 2


def test_pixels_alone_are_refused_of_a_transparent_picture(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    Image.new("RGBA", (3, 2), (90, 90, 90, 254)).save(path)
    with pytest.raises(InputImageError, match=r"x\.png: .* transparent pixels\. hint: flatten"):
        read_rgb(path, max_pixels=1000)
    assert read_picture(path, max_pixels=1000).pixels.tolist() == [[[90, 90, 90]] * 3] * 2


@pytest.mark.parametrize("name", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(pixels: Pixels, orientation: int, name: str) -> None:
    lying = {
        1: pixels,
        2: pixels[:, ::-1],
        3: pixels[::-1, ::-1],
        4: pixels[::-1],
        5: pixels.transpose(1, 0, 2),
        6: np.rot90(pixels),
        7: np.rot90(pixels, 2).transpose(1, 0, 2),
        8: np.rot90(pixels, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    exact: dict[str, dict[str, object]] = {
        "JPEG": {"quality": 100, "subsampling": 0},
        "WEBP": {"lossless": True},
    }
    stored = Image.fromarray(np.ascontiguousarray(lying))
    read = to_rgb(reopened(stored, name, exif=exif, **exact.get(name, {})))
    assert read.shape == pixels.shape
    assert furthest(read, pixels) <= 6


def test_damaged_exif_counts_as_none(pixels: Pixels) -> None:
    image = Image.fromarray(pixels)
    image.info["exif"] = b"Exif\0\0MM\0*\0\0\0"
    with pytest.raises(struct.error):
        image.copy().getexif()
    np.testing.assert_array_equal(to_rgb(image), pixels)
    (warning,) = to_picture(image).warnings
    assert warning.startswith("the EXIF metadata are dropped: ")


def test_an_orientation_beside_a_damaged_tag_is_applied(pixels: Pixels) -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    exif[0x010F] = "maker"
    image = Image.fromarray(pixels)
    image.info["exif"] = exif.tobytes().replace(b"\x01\x0f\x00\x02", b"\x01\x0f\x00\x63")
    np.testing.assert_array_equal(to_rgb(image), pixels[::-1, ::-1])


@pytest.mark.parametrize("step", ["load", "getexif"])
def test_running_out_of_memory_is_not_taken_for_damage(
    pixels: Pixels, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Image.Image, step, fail)
    with pytest.raises(MemoryError):
        to_rgb(Image.fromarray(pixels))


def test_an_srgb_profile_changes_no_pixel(pixels: Pixels) -> None:
    image = reopened(Image.fromarray(pixels), icc_profile=srgb_profile())
    np.testing.assert_array_equal(to_rgb(image), pixels)


def test_an_adobe_rgb_profile_is_converted(pixels: Pixels) -> None:
    read = to_rgb(reopened(Image.fromarray(pixels), icc_profile=adobe_rgb_profile()))
    assert furthest(read, pixels) > 10
    assert furthest(read, adobe_rgb_to_srgb(pixels)) <= 3


def test_a_grey_profile_is_converted(pixels: Pixels) -> None:
    grey = pixels[..., 0]
    read = to_rgb(reopened(Image.fromarray(grey), icc_profile=grey_profile(1.0)))
    linear = grey / 255.0
    expected = 255.0 * (1.055 * linear ** (1 / 2.4) - 0.055)
    assert furthest(read[..., 0], expected) <= 2
    assert furthest(read[..., 0], read[..., 2]) <= 1


def test_a_colour_profile_on_grey_pixels_is_applied(pixels: Pixels) -> None:
    grey = pixels[..., 0]
    read = to_rgb(reopened(Image.fromarray(grey), icc_profile=adobe_rgb_profile()))
    assert furthest(read, adobe_rgb_to_srgb(np.stack([grey] * 3, axis=-1))) <= 3


@pytest.mark.parametrize(
    "profile",
    [b"\0" * 200, adobe_rgb_profile()[:150], grey_profile(1.0), icc_profile(b"RGB ", {})],
    ids=["garbage", "cut short", "for another colour model", "without its tags"],
)
def test_a_profile_that_cannot_apply_is_ignored(pixels: Pixels, profile: bytes) -> None:
    image = Image.fromarray(pixels)
    image.info["icc_profile"] = profile
    np.testing.assert_array_equal(to_rgb(image), pixels)


def test_an_image_without_pixels_is_refused() -> None:
    with pytest.raises(InputImageError, match="no pixels"):
        to_rgb(Image.new("RGB", (0, 5)))


def test_a_pipe_is_read_like_a_file(tmp_path: Path, pixels: Pixels) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    readings: dict[bytes, AbstractContextManager[object]] = {
        file.getvalue(): nullcontext(),
        b"no picture": pytest.raises(InputImageError, match=rf"^{pipe}: not an image, "),
    }
    for written, reading in readings.items():
        writer = threading.Thread(target=pipe.write_bytes, args=(written,))
        writer.start()
        with reading:
            np.testing.assert_array_equal(read_rgb(pipe, max_pixels=1000), pixels)
        writer.join()


@pytest.mark.parametrize("suffix", [".gif", ".png", ".tif", ".webp"])
def test_several_frames_are_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x{suffix}"
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "green", "blue")]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    with pytest.raises(InputImageError, match=r"x\.\w+: the image has 3 frames or pages\. hint: "):
        read_rgb(path, max_pixels=1000)


def test_layers_are_no_pages(tmp_path: Path) -> None:
    pixels = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    layer = bytes(16) + struct.pack(">H", 0) + b"8BIMnorm" + bytes(4) + struct.pack(">I", 0)
    layers = struct.pack(">h", 2) + 2 * layer
    path = tmp_path / "x.psd"
    path.write_bytes(
        struct.pack(">4sH6xHIIHH", b"8BPS", 1, 3, 4, 6, 8, 3)
        + struct.pack(">IIII", 0, 0, 4 + len(layers), len(layers))
        + layers
        + struct.pack(">H", 0)  # not compressed
        + pixels.transpose(2, 0, 1).tobytes()
    )
    with Image.open(path) as image:
        image.seek(2)  # Pillow sees both
    np.testing.assert_array_equal(read_rgb(path, max_pixels=1000), pixels)


@pytest.mark.parametrize("suffix", [".gif", ".tif", ".png", ".webp"])
def test_an_opened_image_of_several_frames_is_refused_and_one_frame_of_it_is_not(
    tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"x{suffix}"
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    with Image.open(path) as image:
        image.seek(1)
        with pytest.raises(InputImageError, match=r"^the image has 2 frames or pages\. hint: save"):
            to_picture(image)
        assert to_picture(image.convert("RGB")).pixels[0, 0, 2] > 200


@pytest.mark.parametrize("owns_file", [True, False])
@pytest.mark.parametrize("suffix", [".gif", ".tif"])
def test_an_image_whose_file_was_closed_after_loading_is_taken(
    tmp_path: Path, suffix: str, owns_file: bool
) -> None:
    path = tmp_path / f"x{suffix}"
    Image.new("L", (8, 8), 200).save(path)
    with path.open("rb") as file, Image.open(path if owns_file else file) as image:
        image.load()
    assert to_picture(image).pixels[0, 0, 0] == 200


def test_the_previews_of_a_camera_picture_are_left_out(tmp_path: Path, pixels: Pixels) -> None:
    path = tmp_path / "x.jpg"
    preview = Image.new("RGB", (4, 4))
    Image.fromarray(pixels).save(
        path, "MPO", save_all=True, append_images=[preview], quality=100, subsampling=0
    )
    assert furthest(read_rgb(path, max_pixels=1000), pixels) <= 6
    with Image.open(path) as image:
        assert furthest(to_picture(image).pixels, pixels) <= 6


@pytest.mark.parametrize("name", ["PNG", "JPEG", "TIFF", "WEBP", "BMP", "AVIF"])
def test_a_file_cut_short_anywhere_is_refused(tmp_path: Path, pixels: Pixels, name: str) -> None:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, name)
    data = file.getvalue()
    path = tmp_path / "x"
    for length_bytes in {0, 1, 3, 16, len(data) // 4, len(data) // 2, len(data) * 3 // 4}:
        path.write_bytes(data[:length_bytes])
        with pytest.raises(InputImageError) as caught:
            read_rgb(path, max_pixels=1000)
        assert str(caught.value).startswith(f"{path}: ")
        assert "\n" not in str(caught.value)


def test_damaged_bytes_end_in_a_documented_error_or_a_picture(
    tmp_path: Path, pixels: Pixels
) -> None:
    rng = np.random.default_rng(20)
    path = tmp_path / "x"
    outcomes = {"error": 0, "picture": 0}
    for name in ("PNG", "JPEG", "TIFF", "GIF", "WEBP"):
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, name, icc_profile=adobe_rgb_profile())
        for _ in range(60):
            data = bytearray(file.getvalue())
            for position in rng.integers(len(data), size=4):
                data[position] = rng.integers(256)
            path.write_bytes(data)
            try:
                read = read_rgb(path, max_pixels=10_000)
            except (InputImageError, LimitError):
                outcomes["error"] += 1
            else:
                assert read.shape[2] == 3
                outcomes["picture"] += 1
    assert min(outcomes.values()) > 20


@pytest.mark.parametrize("content", [b"", b"abc", b"just text\n" * 50, b"\xcdSR\x01" + bytes(40)])
def test_what_is_no_image_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(content)
    with pytest.raises(InputImageError, match=r"x\.png: not an image.* hint: "):
        read_rgb(path, max_pixels=1000)


@pytest.mark.parametrize(
    "content",
    [
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n",
        b"GRIB\0\0\0\x01" + bytes(200),
    ],
)
def test_what_pillow_would_give_to_another_program_is_refused(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "drawing.png"
    path.write_bytes(content)
    with pytest.raises(InputImageError, match=r"cannot be read here\. hint: let another program"):
        read_picture(path, max_pixels=10**6)


def test_own_files_are_known_by_how_the_container_begins_them() -> None:
    assert OWN_MAGIC == MAGIC  # units of one floor do not import each other


def test_a_directory_is_an_access_error(tmp_path: Path) -> None:
    with pytest.raises(FileAccessError, match="a directory"):
        read_rgb(tmp_path, max_pixels=1000)


def test_a_missing_file_is_an_access_error(tmp_path: Path) -> None:
    path = tmp_path / "missing.png"
    with pytest.raises(FileAccessError) as caught:
        read_rgb(path, max_pixels=1000)
    assert str(caught.value) == f"{path}: cannot be read: No such file or directory"
    assert caught.value.exit_code == 9


class FailingDisk(io.BytesIO):
    """A file on a disk from which so many bytes can be read."""

    def __init__(self, data: bytes, good_bytes: int, reason: int) -> None:
        super().__init__(data)
        self.good_bytes = good_bytes
        self.reason = reason

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        if self.tell() > self.good_bytes:
            raise OSError(self.reason, os.strerror(self.reason))
        return data


@pytest.mark.parametrize("reason", [errno.EIO, errno.ESTALE, errno.EMFILE])
@pytest.mark.parametrize("good_bytes", [0, 3, 100, 600])
@pytest.mark.parametrize("name", ["PNG", "JPEG", "TIFF"])
def test_a_disk_that_fails_is_an_access_error_and_no_damage_of_the_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, good_bytes: int, reason: int
) -> None:
    data = io.BytesIO()
    Image.effect_noise((64, 48), 90).save(data, name)
    assert len(data.getvalue()) > good_bytes
    disk = FailingDisk(data.getvalue(), good_bytes, reason)
    monkeypatch.setattr(Path, "open", lambda *_: disk)
    with pytest.raises(FileAccessError) as caught:
        read_rgb(tmp_path / "x", max_pixels=10**6)
    assert str(caught.value) == f"{tmp_path / 'x'}: cannot be read: {os.strerror(reason)}"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_an_access_error(tmp_path: Path, pixels: Pixels) -> None:
    path = tmp_path / "x.png"
    Image.fromarray(pixels).save(path)
    path.chmod(0)
    with pytest.raises(FileAccessError, match="Permission denied"):
        read_rgb(path, max_pixels=1000)


def test_the_pixel_limit_is_inclusive(tmp_path: Path, pixels: Pixels) -> None:
    path = tmp_path / "x.png"
    Image.fromarray(pixels).save(path)
    assert read_rgb(path, max_pixels=13 * 21).shape == (13, 21, 3)
    with pytest.raises(LimitError, match=r"x\.png: 21x13 px are more than the limit of 272 pixels"):
        read_rgb(path, max_pixels=13 * 21 - 1)


def png_header(width_px: int, height_px: int) -> bytes:
    """A PNG that ends after its header: whoever decodes pixels of it fails."""
    buffer = io.BytesIO()
    Image.new("L", (1, 1)).save(buffer, "PNG")
    data = bytearray(buffer.getvalue())
    data[16:24] = struct.pack(">II", width_px, height_px)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    return bytes(data)


@pytest.mark.parametrize("side_px", [10_000, 12_000, 30_000])
def test_the_limit_is_checked_before_pixels_are_decoded(tmp_path: Path, side_px: int) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(png_header(side_px, side_px))
    with pytest.raises(LimitError, match=r"x\.png: .*pixels.* hint: "):
        read_rgb(path, max_pixels=1000)


def test_a_limit_above_pillows_own_neither_warns_nor_changes_it(tmp_path: Path) -> None:
    before = Image.MAX_IMAGE_PIXELS
    path = tmp_path / "x.png"
    path.write_bytes(png_header(12_000, 12_000))
    with warnings.catch_warnings(action="error"), pytest.raises(CdsrError, match="damaged"):
        read_rgb(path, max_pixels=10**9)
    assert before == Image.MAX_IMAGE_PIXELS
