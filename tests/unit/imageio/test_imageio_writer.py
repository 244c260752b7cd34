"""Outputs refused beforehand, pictures by extension, and files that are whole or absent."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cdsrcodec.errors import FileAccessError, InputImageError, LimitError, OutputExistsError
from cdsrcodec.imageio.reader import read_rgb
from cdsrcodec.imageio.writer import (
    check_output,
    check_size,
    output_format,
    write_bytes,
    write_image,
)

Pixels = NDArray[np.uint8]

LOSSLESS = [".bmp", ".jp2", ".png", ".ppm", ".qoi", ".tga", ".tif", ".tiff", ".webp"]
LOSSY = [".avif", ".jpeg", ".jpg"]


@pytest.fixture
def umask_027() -> Iterator[None]:
    before = os.umask(0o027)
    yield
    os.umask(before)


def permissions(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_new_file_in_an_existing_folder_is_accepted(tmp_path: Path) -> None:
    check_output(tmp_path / "new.png", tmp_path / "missing.png", overwrite=False)
    check_output(tmp_path / "new.png", None, overwrite=False)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_is_replaced_only_when_asked(tmp_path: Path) -> None:
    target = tmp_path / "x.png"
    target.write_bytes(b"old")
    with pytest.raises(OutputExistsError) as caught:
        check_output(target, None, overwrite=False)
    assert str(caught.value) == f"{target}: exists already. hint: -f replaces it"
    assert caught.value.exit_code == 7
    check_output(target, None, overwrite=True)
    assert target.read_bytes() == b"old"


@pytest.mark.parametrize("alias", ["the name itself", "symbolic link", "hard link"])
def test_the_input_is_never_overwritten(tmp_path: Path, alias: str) -> None:
    source = tmp_path / "in.png"
    source.write_bytes(b"input")
    target = {
        "the name itself": tmp_path / "sub" / ".." / "in.png",
        "symbolic link": tmp_path / "soft.png",
        "hard link": tmp_path / "hard.png",
    }[alias]
    (tmp_path / "sub").mkdir()
    (tmp_path / "soft.png").symlink_to(source)
    (tmp_path / "hard.png").hardlink_to(source)
    with pytest.raises(OutputExistsError, match="is the input itself"):
        check_output(target, source, overwrite=True)


def test_a_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileAccessError, match="a directory"):
        check_output(tmp_path, None, overwrite=True)


def test_a_device_is_refused_and_not_replaced() -> None:
    with pytest.raises(FileAccessError, match=r"not a regular file\. hint: .* - for standard"):
        check_output(Path(os.devnull), None, overwrite=True)


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("aim", ["existing.png", "missing.png", "link.png"])
def test_a_symbolic_link_is_refused_wherever_it_leads(
    tmp_path: Path, aim: str, overwrite: bool
) -> None:
    (tmp_path / "existing.png").write_bytes(b"old")
    link = tmp_path / "link.png"
    link.symlink_to(tmp_path / aim)
    with pytest.raises(FileAccessError, match=r"a symbolic link.* hint: name the file"):
        check_output(link, None, overwrite=overwrite)


@pytest.mark.parametrize("name", ["missing/x.png", "file/x.png"])
def test_a_missing_folder_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FileAccessError, match=r"no folder .* hint: create it first"):
        check_output(tmp_path / name, None, overwrite=False)


def test_a_name_the_system_refuses_is_an_access_error(tmp_path: Path) -> None:
    target = tmp_path / ("x" * 300 + ".png")
    with pytest.raises(FileAccessError) as caught:
        check_output(target, None, overwrite=False)
    assert str(caught.value) == f"{target}: cannot be written: File name too long"


@pytest.mark.parametrize("suffix", [*LOSSLESS, *LOSSY])
def test_every_extension_has_a_format_that_is_read_back(
    tmp_path: Path, pixels: Pixels, suffix: str
) -> None:
    target = tmp_path / f"x{suffix.upper()}"
    write_image(Image.fromarray(pixels), target)
    with Image.open(target) as image:
        assert image.format == output_format(target)
    error = np.abs(read_rgb(target, max_pixels=1000).astype(int) - pixels)
    assert error.max() == 0 if suffix in LOSSLESS else error.mean() < 2


@pytest.mark.parametrize("suffix", [".jpg", ".avif"])
def test_chroma_is_not_subsampled(tmp_path: Path, suffix: str) -> None:
    stripes = np.zeros((64, 64, 3), dtype=np.uint8)
    stripes[:, 0::2] = (200, 60, 60)
    stripes[:, 1::2] = (60, 100, 200)
    target = tmp_path / f"x{suffix}"
    write_image(Image.fromarray(stripes), target)
    error = np.abs(read_rgb(target, max_pixels=4096).astype(int) - stripes)
    assert error.mean() < 6


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (17, 3)])
@pytest.mark.parametrize("suffix", [*LOSSLESS, *LOSSY])
def test_odd_sizes_are_written(tmp_path: Path, size: tuple[int, int], suffix: str) -> None:
    target = tmp_path / f"x{suffix}"
    write_image(Image.new("RGB", size, (10, 120, 230)), target)
    assert read_rgb(target, max_pixels=5000).shape == (size[1], size[0], 3)


@pytest.mark.parametrize("name", ["x", "x.", "x.xyz", "x.gif", "x.pdf", "x.cdsr"])
def test_an_extension_without_a_format_names_those_that_work(name: str) -> None:
    with pytest.raises(InputImageError, match=r"hint: one of .*\.jpg .*\.png .*\.webp") as caught:
        output_format(Path(name))
    assert str(caught.value).startswith(f"{name}: ")


def test_a_format_whose_encoder_was_not_built_in_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Image.init()
    monkeypatch.delitem(Image.SAVE, "AVIF")
    with pytest.raises(InputImageError) as caught:
        output_format(Path("x.avif"))
    assert ".avif " not in str(caught.value).split("hint: ")[1]


@pytest.mark.parametrize(
    ("name", "largest_px"), [("x.jpg", 65_500), ("x.webp", 16_383), ("x.avif", 32_768)]
)
def test_a_side_too_long_for_the_format_is_refused(
    tmp_path: Path, name: str, largest_px: int
) -> None:
    target = tmp_path / name
    write_image(Image.new("RGB", (largest_px, 1)), target)
    assert read_rgb(target, max_pixels=largest_px).shape[1] == largest_px
    with pytest.raises(LimitError, match=rf"1x{largest_px + 1} px, .* at most {largest_px} px"):
        check_size(target, 1, largest_px + 1)
    with pytest.raises(LimitError):
        write_image(Image.new("RGB", (1, largest_px + 1)), target)
    assert read_rgb(target, max_pixels=largest_px).shape[1] == largest_px


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_a_qoi_file_says_that_it_is_in_srgb(tmp_path: Path, mode: str) -> None:
    target = tmp_path / "x.qoi"
    write_image(Image.new(mode, (3, 2)), target)
    channels, colour_space = target.read_bytes()[12:14]
    assert channels == len(mode)
    assert colour_space == 0  # sRGB with linear alpha; 1 is all linear (qoiformat.org)


def test_an_encoder_that_fails_gives_one_line_and_leaves_the_target(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("encoder error -2")

    target = tmp_path / "x.bmp"
    target.write_bytes(b"old")
    Image.init()
    monkeypatch.setitem(Image.SAVE, "BMP", fail)
    with pytest.raises(FileAccessError) as caught:
        write_image(Image.new("RGB", (2, 2)), target)
    expected = f"{target}: the BMP encoder failed: encoder error -2. hint: write a .png"
    assert str(caught.value) == expected
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_new_file_gets_the_permissions_of_the_umask(tmp_path: Path, umask_027: None) -> None:
    plain = tmp_path / "plain"
    plain.write_bytes(b"")
    target = tmp_path / "x.bin"
    write_bytes(b"data", target)
    assert target.read_bytes() == b"data"
    assert permissions(target) == permissions(plain) == 0o640


def test_a_replaced_file_keeps_its_permissions(tmp_path: Path, umask_027: None) -> None:
    target = tmp_path / "x.bin"
    target.write_bytes(b"old")
    target.chmod(0o604)
    write_bytes(b"new", target)
    assert target.read_bytes() == b"new"
    assert permissions(target) == 0o604


def test_permissions_and_times_can_be_those_of_another_file(tmp_path: Path) -> None:
    source, target = tmp_path / "in.bin", tmp_path / "x.bin"
    source.write_bytes(b"input")
    source.chmod(0o640)
    os.utime(source, ns=(10**18, 10**18 + 7))
    target.write_bytes(b"old")
    target.chmod(0o604)
    write_bytes(b"new", target, like=source)
    assert target.read_bytes() == b"new"
    assert permissions(target) == 0o640
    assert target.stat().st_mtime_ns == 10**18 + 7


def test_whose_rights_a_file_is_run_with_is_not_taken_over(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(b"read")
    source.chmod(0o6755)
    write_bytes(b"new", target, like=source)
    assert stat.S_IMODE(target.stat().st_mode) == 0o755


def test_a_file_system_without_permissions_does_not_stop_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    source, target = tmp_path / "in.bin", tmp_path / "x.bin"
    source.write_bytes(b"input")
    monkeypatch.setattr(Path, "chmod", refuse)
    write_bytes(b"new", target, like=source)
    assert target.read_bytes() == b"new"
    write_bytes(b"newer", target)
    assert target.read_bytes() == b"newer"


def test_a_source_that_was_removed_meanwhile_is_what_the_error_is_about(tmp_path: Path) -> None:
    source, target = tmp_path / "in.bin", tmp_path / "x.bin"
    with pytest.raises(FileAccessError, match=f"{source}: .* cannot be read: No such file"):
        write_bytes(b"new", target, like=source)
    assert list(tmp_path.iterdir()) == []


def test_a_read_only_folder_is_refused_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "x.png"
    check_output(target, None, overwrite=True)
    asked = []

    def refuse(path: Path, mode: int) -> bool:
        asked.append((path, mode & os.W_OK))
        return False

    monkeypatch.setattr(os, "access", refuse)  # the super-user may write anywhere
    with pytest.raises(FileAccessError, match=f"x.png: cannot be written: {tmp_path} is read-only"):
        check_output(target, None, overwrite=True)
    assert asked == [(tmp_path, os.W_OK)]


@pytest.mark.parametrize("has_links", [True, False])
def test_a_file_that_came_up_meanwhile_is_replaced_only_when_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_links: bool
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    if not has_links:
        monkeypatch.setattr(os, "link", refuse)
    target, broken_link = tmp_path / "x.bin", tmp_path / "link.bin"
    broken_link.symlink_to(tmp_path / "missing")
    write_bytes(b"one", target, overwrite=False)
    for taken in (target, broken_link):
        with pytest.raises(OutputExistsError) as caught:
            write_bytes(b"two", taken, overwrite=False)
        assert str(caught.value) == f"{taken}: exists already. hint: -f replaces it"
    assert target.read_bytes() == b"one"
    assert broken_link.is_symlink()
    write_bytes(b"two", target)
    assert target.read_bytes() == b"two"
    assert sorted(tmp_path.iterdir()) == [broken_link, target]


def test_a_link_that_came_up_meanwhile_is_replaced_and_not_followed(tmp_path: Path) -> None:
    other, link = tmp_path / "other.bin", tmp_path / "link.bin"
    other.write_bytes(b"old")
    link.symlink_to(other)
    write_bytes(b"new", link)
    assert not link.is_symlink()
    assert link.read_bytes() == b"new"
    assert other.read_bytes() == b"old"


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize(
    ("failure", "raised"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), FileAccessError),
        (PermissionError(errno.EPERM, "Operation not permitted"), FileAccessError),
        (KeyboardInterrupt(), KeyboardInterrupt),
        (MemoryError(), MemoryError),
    ],
    ids=["no space", "not permitted", "interrupted", "no memory"],
)
def test_whatever_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    failure: BaseException,
    raised: type[BaseException],
) -> None:
    def fail(*_: object) -> None:
        raise failure

    target = tmp_path / "x.bin"
    target.write_bytes(b"old")
    if step == "fsync":
        monkeypatch.setattr(os, "fsync", fail)
    else:
        monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(raised) as caught:
        write_bytes(b"new", target)
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]
    if isinstance(failure, OSError):
        assert str(caught.value) == f"{target}: cannot be written: {failure.strerror}"


def test_a_folder_that_vanished_is_an_access_error(tmp_path: Path) -> None:
    with pytest.raises(FileAccessError, match="No such file or directory"):
        write_bytes(b"data", tmp_path / "missing" / "x.bin")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_an_access_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    with pytest.raises(FileAccessError, match="Permission denied"):
        write_bytes(b"data", tmp_path / "x.bin")
    tmp_path.chmod(0o755)
    assert list(tmp_path.iterdir()) == []
