"""cdsrcodec encode, on good pictures and on everything else."""

from __future__ import annotations

import io
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from PIL import Image

import cdsrcodec
from cdsrcodec.codec.refinement import STEPS_OF_EFFORT
from cdsrcodec.models.registry import MAX_EFFORT

Run = Callable[..., Result]
Fails = Callable[..., str]

SAMPLES = Path(__file__).resolve().parents[2] / "sample_images"


def jpeg_bytes() -> bytes:
    file = io.BytesIO()
    Image.effect_noise((40, 40), 50).save(file, "JPEG")
    return file.getvalue()


def animated_gif_bytes() -> bytes:
    file = io.BytesIO()
    frames = [Image.new("L", (8, 8), shade) for shade in (0, 255)]
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    return file.getvalue()


BAD_PICTURES = {
    "empty": b"",
    "three bytes": b"\xff\xd8\xff",
    "text": b"this is no picture\n" * 20,
    "a .cdsr file": b"\xcdSR\x01" + bytes(60),
    "cut short": jpeg_bytes()[:-300],
    "animated": animated_gif_bytes(),
}


def test_a_picture_becomes_a_file_and_one_summary_line(
    run: Run, picture: Path, tmp_path: Path
) -> None:
    target = tmp_path / "out.cdsr"
    result = run("encode", picture, target)
    size_bytes = target.stat().st_size
    bpp = f"{8 * size_bytes / (37 * 23):.3f}"
    assert result.exit_code == 0
    assert result.stdout == ""
    line = rf"{target}: 37x23 px, {size_bytes} bytes, {bpp} bpp, \d+\.\d\d s\n"
    assert re.fullmatch(line, result.stderr)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.png", "out.cdsr"]


def test_psnr_is_that_of_the_decoded_picture(run: Run, picture: Path, tmp_path: Path) -> None:
    target, decoded = tmp_path / "out.cdsr", tmp_path / "decoded.png"
    result = run("encode", "--psnr", "--device", "cpu", picture, target)
    run("decode", "--device", "cpu", target, decoded)
    x = np.asarray(Image.open(picture), dtype=np.float64)
    x_hat = np.asarray(Image.open(decoded), dtype=np.float64)
    psnr_rgb_db = 10 * np.log10(255**2 / np.mean((x - x_hat) ** 2))
    printed = re.search(r" bpp, PSNR (\d+\.\d\d) dB, \d", result.stderr)
    assert printed is not None
    assert float(printed[1]) == pytest.approx(psnr_rgb_db, abs=0.011)


def test_verbose_names_the_device(run: Run, picture: Path, tmp_path: Path) -> None:
    result = run("encode", "-v", "--device", "cpu", picture, tmp_path / "out.cdsr")
    assert result.stderr.splitlines()[0] == "device: cpu"
    assert len(result.stderr.splitlines()) == 2


def test_verbose_says_when_auto_fell_back(
    run: Run, picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    result = run("encode", "-v", picture, tmp_path / "out.cdsr")
    assert result.stderr.splitlines()[0] == "device: cpu (auto: no CUDA device found)"


def test_asking_for_a_device_that_is_not_there_is_an_error(
    fails: Fails, picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    message = fails(10, "encode", "--device", "cuda", picture, tmp_path / "out.cdsr")
    assert "hint: " in message


@pytest.mark.parametrize("quality", ["1", "2.5", "8"])
def test_quality_is_a_real_number_in_the_file(
    run: Run, picture: Path, tmp_path: Path, quality: str
) -> None:
    target = tmp_path / "out.cdsr"
    assert run("encode", "-q", quality, picture, target).exit_code == 0
    assert cdsrcodec.info_file(target).quality == float(quality)


def test_higher_quality_is_larger(run: Run, tmp_path: Path) -> None:
    sizes = []
    for quality in ("1", "4", "8"):
        target = tmp_path / f"{quality}.cdsr"
        assert run("encode", "-q", quality, SAMPLES / "cat.png", target).exit_code == 0
        sizes.append(target.stat().st_size)
    assert sizes[0] < sizes[1] < sizes[2]


@pytest.mark.parametrize("quality", ["0.99", "8.01", "nan", "inf", "-3", "high", ""])
def test_a_quality_out_of_range_is_wrong_usage(
    fails: Fails, picture: Path, tmp_path: Path, quality: str
) -> None:
    message = fails(2, "encode", "-q", quality, picture, tmp_path / "out.cdsr")
    assert f"'{quality}' is not a number from 1 to 8. hint: " in message


@pytest.mark.parametrize(
    ("size", "size_bytes"),
    [("250", 250), ("0.25kB", 250), ("250 b", 250), (".25KiB", 256), ("1.5MiB", 3 * 2**19)],
)
def test_a_target_size_is_never_exceeded(
    run: Run, picture: Path, tmp_path: Path, size: str, size_bytes: int
) -> None:
    target = tmp_path / "out.cdsr"
    result = run("encode", "--target-size", size, picture, target)
    assert result.exit_code == 0
    found = cdsrcodec.info_file(target)
    assert 0.95 * size_bytes < found.stream_bytes <= size_bytes or found.quality == 8
    assert f" bpp, quality {found.quality:g}, " in result.stderr


def test_targets_of_bpp_and_psnr_are_met(run: Run, picture: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.cdsr"
    assert run("encode", "--target-bpp", "2.5", picture, target).exit_code == 0
    assert 2.4 < cdsrcodec.info_file(target).bpp <= 2.5
    result = run("encode", "-f", "--psnr", "--target-psnr", "28", picture, target)
    printed = re.search(r"PSNR (\d+\.\d\d) dB", result.stderr)
    assert printed is not None
    assert float(printed[1]) >= 28


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--target-size", "40", "40 bytes cannot be reached: the smallest file of this picture "),
        ("--target-bpp", "0.01", "0.01 bpp cannot be reached: the smallest file "),
        ("--target-psnr", "90", "a PSNR of 90 dB cannot be reached: this picture gets "),
    ],
)
def test_a_target_out_of_reach_is_a_limit_error(
    fails: Fails, picture: Path, tmp_path: Path, option: str, value: str, words: str
) -> None:
    message = fails(8, "encode", option, value, picture, tmp_path / "out.cdsr")
    assert message.startswith(f"{picture}: {words}")
    assert "hint: ask for that" in message


@pytest.mark.parametrize(
    ("option", "value"),
    [("--target-size", value) for value in ("0", "0.5", "-3", "20kg", "kB", "1e3", "nan", "")]
    + [("--target-bpp", value) for value in ("0", "-1", "inf", "nan", "low")]
    + [("--target-psnr", "0")],
)
def test_a_bad_target_is_wrong_usage(
    fails: Fails, picture: Path, tmp_path: Path, option: str, value: str
) -> None:
    message = fails(2, "encode", option, value, picture, tmp_path / "out.cdsr")
    assert f"'{value}' is not a " in message


def test_a_quality_and_a_target_are_wrong_usage(
    fails: Fails, picture: Path, tmp_path: Path
) -> None:
    for given in (["-q", "4"], ["--target-bpp", "1"]):
        target = tmp_path / "out.cdsr"
        message = fails(2, "encode", *given, "--target-size", "1kB", picture, target)
        assert message.startswith("give one of -q, --target-size, ")


def test_effort_keeps_the_quality_and_shows_no_bar_without_a_terminal(
    run: Run, picture: Path, tmp_path: Path
) -> None:
    target = tmp_path / "out.cdsr"
    result = run("encode", "-q", "7", "--effort", "1", picture, target)
    assert result.exit_code == 0
    assert len(result.stderr.splitlines()) == 1
    assert cdsrcodec.verify_file(target).quality == 7


def test_a_terminal_is_shown_the_steps_of_a_refinement(
    run: Run, picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    target = tmp_path / "out.cdsr"
    assert "refining" in run("encode", "--effort", "1", picture, target).stderr
    assert "refining" not in run("encode", "-f", picture, target).stderr


@pytest.mark.parametrize("value", ["-1", "10", "1.5", "most"])
def test_an_effort_out_of_range_is_wrong_usage(
    fails: Fails, picture: Path, tmp_path: Path, value: str
) -> None:
    message = fails(2, "encode", "--effort", value, picture, tmp_path / "out.cdsr")
    assert "--effort" in message


def test_the_command_line_knows_the_codecs_efforts() -> None:
    assert len(STEPS_OF_EFFORT) == MAX_EFFORT + 1


@pytest.mark.parametrize("sides", [(1, 1), (1, 5000), (5000, 1), (16, 16), (17, 15)])
def test_odd_sizes_come_back_as_they_were(run: Run, tmp_path: Path, sides: tuple[int, int]) -> None:
    source, target, decoded = (tmp_path / name for name in ("x.png", "x.cdsr", "y.png"))
    Image.new("RGB", sides, (200, 100, 50)).save(source)
    assert run("encode", source, target).exit_code == 0
    assert run("decode", target, decoded).exit_code == 0
    with Image.open(decoded) as image:
        assert image.size == sides
        error = np.abs(np.asarray(image, dtype=float) - (200, 100, 50))
    assert error.mean() < 25


@pytest.mark.parametrize("name", BAD_PICTURES)
@pytest.mark.parametrize("force", [[], ["-f"]])
def test_what_is_no_plain_picture_is_refused(
    fails: Fails, tmp_path: Path, name: str, force: list[str]
) -> None:
    source, target = tmp_path / "x.jpg", tmp_path / "out.cdsr"
    source.write_bytes(BAD_PICTURES[name])
    if force:
        target.write_bytes(b"an older file")
    message = fails(3, "encode", *force, source, target)
    assert message.startswith(f"{source}: ")
    assert message.count(str(source)) == 1


def test_flipped_bits_end_in_a_file_or_in_one_line(run: Run, tmp_path: Path) -> None:
    source, target = tmp_path / "x.jpg", tmp_path / "out.cdsr"
    good = jpeg_bytes()
    codes = set()
    for position in range(2, len(good), len(good) // 12):
        damaged = bytearray(good)
        damaged[position] ^= 0x10
        source.write_bytes(damaged)
        result = run("encode", "-f", source, target)
        assert len(result.stderr.splitlines()) == 1
        codes.add(result.exit_code)
    assert codes <= {0, 3, 8}


@pytest.mark.parametrize("command", ["encode", "decode", "upscale"])
def test_a_directory_as_input_is_an_access_error(
    fails: Fails, tmp_path: Path, command: str
) -> None:
    target = tmp_path / ("out.cdsr" if command == "encode" else "out.png")
    line = fails(9, command, tmp_path, target)
    assert line.startswith(f"{tmp_path}: a directory. hint: name a ")
    assert line.rstrip().endswith(", or -r takes those in it")


@pytest.mark.parametrize(
    "words",
    [
        ("encode", "", "x.cdsr"),
        ("encode", "in.png", ""),
        ("encode", "in.png", "-o", ""),
        ("encode", "-o", "x", "--files-from", ""),
        ("verify", ""),
    ],
)
def test_an_empty_name_is_wrong_usage(fails: Fails, words: tuple[str, ...]) -> None:
    assert "an empty name. hint: " in fails(2, *words)


def test_a_missing_picture_is_an_access_error(fails: Fails, tmp_path: Path) -> None:
    source = tmp_path / "missing.png"
    message = fails(9, "encode", source, tmp_path / "out.cdsr")
    assert message == f"{source}: cannot be read: No such file or directory"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_picture_without_permission_is_an_access_error(
    fails: Fails, picture: Path, tmp_path: Path
) -> None:
    picture.chmod(0)
    assert "Permission denied" in fails(9, "encode", picture, tmp_path / "out.cdsr")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_an_access_error(
    fails: Fails, picture: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o555)
    assert "Permission denied" in fails(9, "encode", picture, folder / "out.cdsr")


def test_a_missing_folder_is_an_access_error(fails: Fails, picture: Path, tmp_path: Path) -> None:
    message = fails(9, "encode", picture, tmp_path / "missing" / "out.cdsr")
    assert "hint: create it first" in message


def test_an_existing_file_is_kept_without_force(fails: Fails, picture: Path, stream: Path) -> None:
    message = fails(7, "encode", picture, stream)
    assert message == f"{stream}: exists already. hint: -f replaces it"


def test_force_replaces_an_existing_file(run: Run, picture: Path, stream: Path) -> None:
    stream.write_bytes(b"an older file")
    assert run("encode", "-f", picture, stream).exit_code == 0
    assert cdsrcodec.verify_file(stream).width_px == 37


def test_the_input_is_never_replaced(fails: Fails, picture: Path) -> None:
    nameless = picture.rename(picture.with_suffix(""))
    assert "is the input itself" in fails(7, "encode", "-f", nameless, nameless)


@pytest.mark.parametrize("name", ["b.png", "B.JPEG", "b.heic", "memory://b.tif"])
def test_a_picture_is_never_replaced_by_a_stream(
    fails: Fails, picture: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(picture.parent)
    Path("b.png").write_bytes(b"the only copy of a photograph")
    assert fails(2, "encode", "-f", picture, name) == (
        f"{name}: the name of a picture, but a .cdsr file is to be written. "
        "hint: name it .cdsr; many pictures need -o DIR"
    )


def test_an_interrupted_run_leaves_the_old_file(
    fails: Fails, picture: Path, stream: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupt)
    assert fails(130, "encode", "-f", picture, stream) == "interrupted"


def test_a_full_disk_leaves_the_old_file(
    fails: Fails, picture: Path, stream: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fill_disk)
    message = fails(9, "encode", "-f", picture, stream)
    assert message == f"{stream}: cannot be written: No space left on device"


def test_names_may_hold_spaces_and_letters_of_any_alphabet(
    run: Run, picture: Path, tmp_path: Path
) -> None:
    source, target = tmp_path / "über alles & so.png", tmp_path / "猫 1.cdsr"
    shutil.copy(picture, source)
    result = run("encode", source, target)
    assert result.exit_code == 0
    assert result.stderr.startswith(f"{target}: 37x23 px, ")
