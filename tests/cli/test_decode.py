"""cdsrcodec decode, at both sizes, on good streams and on everything else."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from numpy.typing import NDArray
from PIL import Image

import cdsrcodec

Run = Callable[..., Result]
Fails = Callable[..., str]


@pytest.mark.parametrize(("sr", "width_px", "height_px"), [("1", 37, 23), ("4", 148, 92)])
def test_both_sizes_print_the_same_kind_of_line(
    run: Run, stream: Path, tmp_path: Path, sr: str, width_px: int, height_px: int
) -> None:
    target = tmp_path / "out.png"
    result = run("decode", "--sr", sr, stream, target)
    assert result.exit_code == 0
    assert result.stdout == ""
    line = rf"{target}: {width_px}x{height_px} px, \d+\.\d\d s\n"
    assert re.fullmatch(line, result.stderr)
    with Image.open(target) as image:
        assert image.size == (width_px, height_px)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.cdsr", "out.png"]


def test_the_file_holds_the_picture_of_the_api(
    run: Run, stream: Path, stream_bytes: bytes, tmp_path: Path
) -> None:
    target = tmp_path / "out.png"
    run("decode", "--device", "cpu", stream, target)
    expected = np.asarray(cdsrcodec.decode(stream_bytes, device="cpu"))
    with Image.open(target) as image:
        np.testing.assert_array_equal(np.asarray(image), expected)


def test_the_picture_resembles_the_original(
    run: Run, stream: Path, tmp_path: Path, pixels: NDArray[np.uint8]
) -> None:
    target = tmp_path / "out.png"
    run("decode", stream, target)
    with Image.open(target) as image:
        error = np.abs(np.asarray(image, dtype=float) - pixels)
    assert error.mean() < 16


@pytest.mark.parametrize(
    ("name", "format_name"),
    [
        ("x.jpg", "JPEG"),
        ("x.WEBP", "WEBP"),
        ("x.tif", "TIFF"),
        ("x.bmp", "BMP"),
        ("x.avif", "AVIF"),
    ],
)
def test_the_extension_chooses_the_format(
    run: Run, stream: Path, tmp_path: Path, name: str, format_name: str
) -> None:
    target = tmp_path / name
    assert run("decode", stream, target).exit_code == 0
    with Image.open(target) as image:
        assert image.format == format_name


@pytest.mark.parametrize("name", ["out", "out.xyz", "out.cdsr"])
def test_an_extension_without_a_format_names_those_that_work(
    fails: Fails, stream: Path, tmp_path: Path, name: str
) -> None:
    message = fails(3, "decode", stream, tmp_path / name)
    assert ".png" in message.split("hint: ")[1]


def test_verbose_names_the_device(run: Run, stream: Path, tmp_path: Path) -> None:
    result = run("decode", "-v", "--device", "cpu", stream, tmp_path / "out.png")
    assert result.stderr.splitlines()[0] == "device: cpu"


def test_asking_for_a_device_that_is_not_there_is_an_error(
    fails: Fails, stream: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert "hint: " in fails(10, "decode", "--device", "cuda", stream, tmp_path / "out.png")


@pytest.mark.parametrize("option", [("--sr", "2"), ("--upscaler", "magic"), ("--device", "gpu")])
def test_a_choice_that_does_not_exist_is_wrong_usage(
    fails: Fails, stream: Path, tmp_path: Path, option: tuple[str, str]
) -> None:
    message = fails(2, "decode", *option, stream, tmp_path / "out.png")
    assert f"'{option[1]}' is not" in message


@pytest.mark.parametrize("force", [[], ["-f"]])
def test_a_broken_stream_is_refused(
    fails: Fails, undecodable: tuple[Path, int, str], tmp_path: Path, force: list[str]
) -> None:
    path, exit_code, word = undecodable
    target = tmp_path / "out.png"
    if force:
        target.write_bytes(b"an older file")
    message = fails(exit_code, "decode", *force, path, target)
    assert message.startswith(f"{path}: ")
    assert message.count(str(path)) == 1
    assert word in message


def test_symbols_that_differ_from_the_encoded_ones_are_an_error_of_their_own(
    fails: Fails,
    stream: Path,
    stream_bytes: bytes,
    with_header: Callable[..., bytes],
    tmp_path: Path,
) -> None:
    stream.write_bytes(with_header(stream_bytes, symbol_crc=1))
    assert fails(6, "decode", stream, tmp_path / "out.png").startswith(f"{stream}: ")


def test_an_unknown_optional_chunk_changes_nothing(
    run: Run,
    stream: Path,
    stream_bytes: bytes,
    with_chunk: Callable[[bytes, bytes], bytes],
    tmp_path: Path,
) -> None:
    assert run("decode", stream, tmp_path / "plain.png").exit_code == 0
    stream.write_bytes(with_chunk(stream_bytes, b"zzzz"))
    assert run("decode", stream, tmp_path / "chunk.png").exit_code == 0
    assert (tmp_path / "plain.png").read_bytes() == (tmp_path / "chunk.png").read_bytes()


def test_a_size_the_format_cannot_hold_is_refused_before_the_work(
    fails: Fails,
    stream: Path,
    stream_bytes: bytes,
    with_header: Callable[..., bytes],
    tmp_path: Path,
) -> None:
    stream.write_bytes(with_header(stream_bytes, width_px=5000))
    message = fails(8, "decode", "--sr", "4", stream, tmp_path / "out.webp")
    assert "20000x92 px, but WEBP holds at most 16383 px a side" in message


@pytest.mark.parametrize("name", [".", "missing.cdsr"])
def test_what_is_no_file_is_an_access_error(fails: Fails, tmp_path: Path, name: str) -> None:
    assert str(tmp_path) in fails(9, "decode", tmp_path / name, tmp_path / "out.png")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_stream_without_permission_is_an_access_error(
    fails: Fails, stream: Path, tmp_path: Path
) -> None:
    stream.chmod(0)
    assert "Permission denied" in fails(9, "decode", stream, tmp_path / "out.png")


def test_an_existing_picture_is_kept_without_force(
    fails: Fails, stream: Path, picture: Path
) -> None:
    assert "-f replaces it" in fails(7, "decode", stream, picture)


def test_force_replaces_an_existing_picture(run: Run, stream: Path, picture: Path) -> None:
    picture.write_bytes(b"an older file")
    assert run("decode", "-f", stream, picture).exit_code == 0
    with Image.open(picture) as image:
        assert image.size == (37, 23)


def test_an_interrupted_run_leaves_the_old_picture(
    fails: Fails, stream: Path, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    assert fails(130, "decode", "-f", stream, picture) == "interrupted"
