"""Patches: which pictures, which parts of them, and that a step fixes them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms

from cdsrcodec.errors import FileAccessError, InputImageError, LimitError
from cdsrcodec.imageio.reader import read_rgb
from cdsrcodec.imageio.resampling import downscale
from cdsrcodec.training.patches import (
    ImageFolder,
    batch_rng,
    patch_batch,
    random_crop,
)

Pixels = NDArray[np.uint8]


@pytest.fixture
def images(pictures: Path) -> ImageFolder:
    return ImageFolder(pictures, min_side_px=64)


def draw(images: ImageFolder, seed: int, step: int, rank: int) -> Pixels:
    rng = batch_rng(seed, step, rank)
    return patch_batch(images, rng, count=3, side_px=64, factors=(1, 2))


def numbered(height_px: int, width_px: int) -> Pixels:
    """Every pixel another colour, so that it tells where it came from."""
    rows, columns = np.mgrid[0:height_px, 0:width_px]
    return np.asarray(np.stack([rows, columns, rows ^ columns], -1), np.uint8)


def test_a_step_on_a_rank_always_sees_the_same_patches(images: ImageFolder) -> None:
    first = draw(images, seed=3, step=5, rank=1)
    assert first.shape == (3, 64, 64, 3)
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(draw(images, seed=3, step=5, rank=1), first)


@pytest.mark.parametrize("other", [(4, 5, 1), (3, 6, 1), (3, 5, 0)], ids=["seed", "step", "rank"])
def test_another_seed_step_or_rank_sees_others(
    images: ImageFolder, other: tuple[int, int, int]
) -> None:
    assert (draw(images, *other) != draw(images, 3, 5, 1)).any()


def test_pictures_are_found_in_folders_of_the_folder_in_sorted_order(images: ImageFolder) -> None:
    assert [path.name for path in images.paths] == ["a.png", "b.png", "c.png"]
    assert len(images) == 3
    assert images[2].shape == (140, 200, 3)


def test_pictures_that_are_too_small_are_left_out(pictures: Path) -> None:
    (pictures / "._a.png").write_bytes(b"what macOS leaves")
    (pictures / ".trash").mkdir()
    (pictures / ".trash" / "b.png").write_bytes(b"no picture any more")
    images = ImageFolder(pictures, min_side_px=135)
    assert [path.name for path in images.paths] == ["c.png"]


def test_no_picture_that_is_large_enough_is_an_error(pictures: Path) -> None:
    with pytest.raises(InputImageError, match=r"at least 141 px\. hint: name a folder of photo"):
        ImageFolder(pictures, min_side_px=141)


def test_a_folder_without_pictures_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputImageError, match=f"^{tmp_path}: no image"):
        ImageFolder(tmp_path, min_side_px=1)


@pytest.mark.parametrize(
    ("make", "reason"),
    [(lambda _: None, "No such file or directory"), (Path.touch, "Not a directory")],
    ids=["missing", "a file"],
)
def test_what_is_no_folder_is_an_access_error(
    tmp_path: Path, make: Callable[[Path], object], reason: str
) -> None:
    folder = tmp_path / "folder"
    make(folder)
    with pytest.raises(FileAccessError, match=f"^{folder}: cannot be read: {reason}$"):
        ImageFolder(folder, min_side_px=1)


@pytest.mark.parametrize("data", [b"", b"no picture", b"\x89PNG\r\n\x1a\n" + bytes(40)])
def test_a_file_that_is_no_picture_is_an_error_at_once(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "broken.png").write_bytes(data)
    with pytest.raises(InputImageError, match=r"broken\.png: (not an image|the image is damaged)"):
        ImageFolder(tmp_path, min_side_px=1)


def test_a_picture_larger_than_any_that_is_coded_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("1", (300, 300)).save(tmp_path / "large.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40_000)
    with pytest.raises(LimitError, match=r"large\.png: more pixels than Pillow agrees to open"):
        ImageFolder(tmp_path, min_side_px=1)


def test_a_picture_that_is_cut_short_is_an_error_when_it_is_read(
    tmp_path: Path, pictures: Path
) -> None:
    data = (pictures / "a.png").read_bytes()
    (tmp_path / "short.png").write_bytes(data[: len(data) // 2])
    images = ImageFolder(tmp_path, min_side_px=64)
    with pytest.raises(InputImageError, match=r"short\.png: .*damaged"):
        images[0]


def test_memory_that_runs_out_is_not_blamed_on_the_picture(
    images: ImageFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def convert(image: Image.Image, mode: str) -> None:
        raise MemoryError

    monkeypatch.setattr(Image.Image, "convert", convert)
    with pytest.raises(MemoryError):
        images[0]


def test_grey_and_palette_pictures_become_rgb(tmp_path: Path) -> None:
    for mode in ("L", "P", "RGBA"):
        Image.new(mode, (20, 10)).save(tmp_path / f"{mode}.png")
    images = ImageFolder(tmp_path, min_side_px=10)
    assert {images[index].shape for index in range(3)} == {(10, 20, 3)}


def test_a_plain_picture_is_taken_bit_for_bit(tmp_path: Path) -> None:
    pixels = numbered(20, 30)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    Image.fromarray(pixels).save(tmp_path / "b.jpg")
    images = ImageFolder(tmp_path, min_side_px=1)
    np.testing.assert_array_equal(images[0], pixels)
    with Image.open(tmp_path / "b.jpg") as decoded:
        np.testing.assert_array_equal(images[1], np.asarray(decoded))


def test_other_pictures_are_taken_as_they_would_be_coded(tmp_path: Path) -> None:
    pixels = numbered(20, 30)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.fromarray(pixels).save(tmp_path / "a_turned.png", exif=exif)
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = srgb.replace(b"rXYZ", b"tmpZ").replace(b"bXYZ", b"rXYZ").replace(b"tmpZ", b"bXYZ")
    Image.fromarray(pixels).save(tmp_path / "b_profile.png", icc_profile=swapped)
    hidden = Image.new("RGBA", (30, 20), (255, 0, 0, 0))
    hidden.paste((0, 0, 90, 255), (0, 0, 15, 20))
    hidden.save(tmp_path / "c_alpha.png")
    images = ImageFolder(tmp_path, min_side_px=1)
    np.testing.assert_array_equal(images[0], np.rot90(pixels, -1))
    np.testing.assert_array_equal(images[1], read_rgb(images.paths[1], max_pixels=1000))
    assert (images[1] != pixels).any()
    assert np.abs(images[2].astype(int) - (0, 0, 90)).max() <= 2


def test_a_cache_without_room_gives_the_same_patches(pictures: Path, images: ImageFolder) -> None:
    uncached = ImageFolder(pictures, min_side_px=64, cache_gb=0)
    for step in range(3):
        np.testing.assert_array_equal(draw(uncached, 0, step, 0), draw(images, 0, step, 0))
    assert images[0] is images[0]
    assert uncached[0] is not uncached[0]


def test_the_cache_keeps_what_fits_its_budget(pictures: Path) -> None:
    # a.png and b.png take 58,500 bytes each, c.png 84,000.
    images = ImageFolder(pictures, min_side_px=64, cache_gb=150e-6)
    kept = [images[index] is images[index] for index in range(3)]
    assert kept == [True, True, False]


def test_a_crop_is_a_part_of_the_picture_turned_or_flipped() -> None:
    pixels = numbered(40, 50)
    orientations = set()
    for seed in range(60):
        crop = random_crop(pixels, 16, np.random.default_rng(seed))
        rows, columns = crop[..., 0].astype(int), crop[..., 1].astype(int)
        top, left = rows.min(), columns.min()
        part = pixels[top : top + 16, left : left + 16]
        turned = [np.rot90(part, k) for k in range(4)]
        candidates = [*turned, *(t[:, ::-1] for t in turned)]
        matches = [i for i, c in enumerate(candidates) if np.array_equal(c, crop)]
        assert len(matches) == 1
        assert crop.flags["C_CONTIGUOUS"]
        orientations.add(matches[0])
    assert orientations == set(range(8))


def test_crops_reach_every_border() -> None:
    pixels = numbered(18, 20)
    corners = set()
    for seed in range(200):
        crop = random_crop(pixels, 16, np.random.default_rng(seed))
        corners.add((int(crop[..., 0].min()), int(crop[..., 1].min())))
    assert corners == {(top, left) for top in range(3) for left in range(5)}


def test_a_factor_reduces_the_picture_first(tmp_path: Path) -> None:
    # A picture as large as the reduced patch leaves no choice but the orientation.
    pixels = np.repeat(np.repeat(numbered(64, 64), 2, 0), 2, 1)
    Image.fromarray(pixels).save(tmp_path / "x.png")
    images = ImageFolder(tmp_path, min_side_px=128)
    patch = patch_batch(images, batch_rng(0, 0, 0), count=1, side_px=64, factors=(2,))[0]
    assert patch.shape == (64, 64, 3)
    np.testing.assert_allclose(np.sort(patch, None), np.sort(downscale(pixels, 2), None), atol=1)


def test_factors_are_drawn_as_often_as_they_are_named(tmp_path: Path) -> None:
    # Stripes of one pixel: grey when they are reduced, black and white when not.
    stripes = np.zeros((200, 200, 3), np.uint8)
    stripes[::2] = 255
    Image.fromarray(stripes).save(tmp_path / "x.png")
    images = ImageFolder(tmp_path, min_side_px=64)
    patches = patch_batch(images, batch_rng(0, 0, 0), count=90, side_px=64, factors=(1, 1, 2))
    reduced = (patches.std((1, 2, 3)) < 60).mean()
    assert 0.2 < reduced < 0.47


def test_a_picture_too_small_for_the_factor_is_reduced_as_far_as_it_can_be(tmp_path: Path) -> None:
    Image.fromarray(numbered(130, 130)).save(tmp_path / "x.png")
    images = ImageFolder(tmp_path, min_side_px=64)
    drawn = patch_batch(images, batch_rng(1, 2, 0), count=30, side_px=64, factors=(1, 4, 2))
    assert drawn.shape == (30, 64, 64, 3)
    # Neighbours of a picture reduced by 2 are 2 apart: so it is for 2 and for 4.
    inner = drawn[:, 2:-2, 2:-2, :2].astype(int)
    steps = np.median(np.abs(np.diff(inner, axis=1)).max(-1), axis=(1, 2))
    assert set(steps) == {1, 2}
    assert (steps == 2).sum() > 15


def test_a_factor_of_one_is_no_reduction() -> None:
    pixels = numbered(6, 8)
    assert downscale(pixels, 1) is pixels
    assert downscale(pixels, 2).shape == (3, 4, 3)
