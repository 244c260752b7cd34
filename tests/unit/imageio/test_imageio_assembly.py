"""Pictures put together band by band: the same as in one piece, in little more than their size."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from cdsrcodec.imageio import assembly
from cdsrcodec.imageio.assembly import assemble
from cdsrcodec.imageio.colour import from_srgb
from cdsrcodec.imageio.metadata import Metadata

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def profile() -> bytes:
    """Of RGB, with red and blue exchanged."""
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return srgb.replace(b"rXYZ", b"tmpZ").replace(b"bXYZ", b"rXYZ").replace(b"tmpZ", b"bXYZ")


@pytest.mark.parametrize("is_grey", [False, True], ids=["rgb", "grey"])
@pytest.mark.parametrize("scale", [1, 4])
def test_a_picture_in_bands_is_the_picture_in_one_piece(
    monkeypatch: pytest.MonkeyPatch,
    pixels: NDArray[np.uint8],
    profile: bytes,
    is_grey: bool,
    scale: int,
) -> None:
    alpha = np.random.default_rng(1).integers(0, 256, pixels.shape[:2]).astype(np.uint8)
    enlarged = pixels.repeat(scale, 0).repeat(scale, 1)
    size_px = (19 * scale, 13 * scale - 1)
    metadata = Metadata(icc_profile=None if is_grey else profile)
    images = []
    for band_px in (4, 256):
        monkeypatch.setattr(assembly, "_BAND_PX", band_px)
        images.append(
            assemble(enlarged, alpha, metadata, is_grey=is_grey, scale=scale, size_px=size_px)
        )
    assert images[0].mode == ("LA" if is_grey else "RGBA")
    assert images[0].size == size_px
    assert images[0].info.get("icc_profile") == metadata.icc_profile
    np.testing.assert_array_equal(np.asarray(images[0]), np.asarray(images[1]))
    expected = Image.fromarray(enlarged).convert("L" if is_grey else "RGB")
    if not is_grey:
        expected = from_srgb(profile, "RGB")(expected)
    large_alpha = Image.fromarray(alpha)
    if scale > 1:
        width, height = large_alpha.size
        large_alpha = large_alpha.resize((4 * width, 4 * height), Image.Resampling.BICUBIC)
    expected.putalpha(large_alpha)
    whole = expected.crop((0, 0, *size_px))
    np.testing.assert_array_equal(np.asarray(images[0]), np.asarray(whole))


def test_a_profile_that_cannot_be_applied_is_left_out(pixels: NDArray[np.uint8]) -> None:
    metadata = Metadata(icc_profile=b"no profile")
    image = assemble(pixels, None, metadata, is_grey=False, scale=1)
    assert "icc_profile" not in image.info
    np.testing.assert_array_equal(np.asarray(image), pixels)


# Puts a picture of 4000x3000 px together; prints by how many bytes the peak rose meanwhile.
LARGE_PICTURE = """
import resource, sys
import numpy as np
from PIL import ImageCms
from cdsrcodec.imageio.assembly import assemble
from cdsrcodec.imageio.metadata import Metadata

with_profile, with_alpha, cropped = (name in sys.argv for name in ("profile", "alpha", "crop"))
profile = None
if with_profile:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()

def peak_bytes():
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

def assemble_large(width, height):
    pixels = np.full((height, width, 3), 99, np.uint8)
    alpha = np.full((height // 4, width // 4), 99, np.uint8) if with_alpha else None
    size_px = (width - 3, height - 3) if cropped else None
    return assemble(
        pixels, alpha, Metadata(icc_profile=profile), is_grey=False, scale=4, size_px=size_px
    )

assemble_large(4000, 256)
before_bytes = peak_bytes()
assemble_large(4000, 3000)
print(peak_bytes() - before_bytes)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other units of peaks")
@pytest.mark.parametrize("words", ["profile", "alpha", "crop", "profile alpha crop"])
def test_a_large_picture_is_in_memory_once_as_pixels_and_once_as_an_image(words: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LARGE_PICTURE, *words.split()],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    # 3 bytes a pixel and 4; a plane more would be 12 MB, another copy 48 MB.
    assert int(done.stdout) < 7 * 4000 * 3000 + 6e6
