"""What the functions for files write over: nothing that they were not told to."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import cdsrcodec
from cdsrcodec.errors import InputImageError, LimitError, OutputExistsError

Convert = Callable[..., Any]
CONVERSIONS: dict[str, tuple[str, str, Convert]] = {
    "encode": ("in.png", "out.cdsr", partial(cdsrcodec.encode_file, device="cpu")),
    "decode": ("in.cdsr", "out.png", partial(cdsrcodec.decode_file, device="cpu")),
    "upscale": ("in.png", "out.png", partial(cdsrcodec.api.upscale_file, device="cpu")),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With a picture and its stream."""
    image = Image.new("RGB", (16, 16), "teal")
    image.save(tmp_path / "in.png")
    (tmp_path / "in.cdsr").write_bytes(cdsrcodec.encode(image, device="cpu"))
    return tmp_path


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("name", CONVERSIONS)
def test_what_another_run_writes_meanwhile_is_kept_unless_told_otherwise(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, overwrite: bool
) -> None:
    source, target, convert = CONVERSIONS[name]

    def let_the_other_run_end(_descriptor: int) -> None:
        (folder / target).write_bytes(b"of the other run")

    monkeypatch.setattr(os, "fsync", let_the_other_run_end)
    if overwrite:
        convert(folder / source, folder / target, overwrite=True)
        assert (folder / target).read_bytes() != b"of the other run"
    else:
        with pytest.raises(OutputExistsError, match=r"exists already\. hint: -f"):
            convert(folder / source, folder / target)
        assert (folder / target).read_bytes() == b"of the other run"
    assert sorted(path.name for path in folder.iterdir()) == ["in.cdsr", "in.png", target]


@pytest.mark.parametrize("name", CONVERSIONS)
def test_a_file_that_needs_more_memory_than_allowed_is_named(folder: Path, name: str) -> None:
    source, target, convert = CONVERSIONS[name]
    with pytest.raises(LimitError, match=rf"^{folder / source}: 1 MB of memory are too few"):
        convert(folder / source, folder / target, max_memory_bytes=10**6)
    assert not (folder / target).exists()


@pytest.mark.parametrize("name", ["b.png", "b.JPG", "b.dng"])
def test_a_stream_does_not_get_the_name_of_a_picture(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"the only copy of a photograph")
    with pytest.raises(ValueError, match=rf"{name}: the name of a picture.* hint: name it \.cdsr"):
        cdsrcodec.encode_file(folder / "in.png", folder / name, overwrite=True)
    assert (folder / name).read_bytes() == b"the only copy of a photograph"


@pytest.mark.parametrize("name", ["b", "b.bin", "png"])
def test_a_stream_may_have_any_other_name(folder: Path, name: str) -> None:
    cdsrcodec.encode_file(folder / "in.png", folder / name, device="cpu")
    assert (folder / name).read_bytes() == (folder / "in.cdsr").read_bytes()


@pytest.mark.parametrize("take", [cdsrcodec.encode, cdsrcodec.api.upscale])
def test_an_animation_in_memory_is_refused_as_its_file_is(
    folder: Path, take: Callable[[Image.Image], object]
) -> None:
    frames = [Image.new("L", (8, 8), shade) for shade in (0, 255)]
    frames[0].save(folder / "x.gif", save_all=True, append_images=frames[1:])
    with (
        Image.open(folder / "x.gif") as image,
        pytest.raises(InputImageError, match=r"2 frames or pages\. hint: save the one you want"),
    ):
        take(image)
