from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cdsrcodec.chunks.facts import REDUCTION
from cdsrcodec.errors import ModelError
from cdsrcodec.models.registry import BMSHJ2018_HYPERPRIOR_GAIN, CDSR1, codec_named
from cdsrcodec.sr.registry import (
    LATENT_CODECS,
    PIXEL_UPSCALERS,
    UPSCALE,
    UPSCALER_NAMES,
    UPSCALERS,
    WEIGHTED_UPSCALERS,
    UpscalerEntry,
    available_names,
    upscaler_for,
    weights_of,
)

AVAILABLE = [entry for entry in UPSCALERS if entry.is_available]


@pytest.mark.parametrize("entry", AVAILABLE, ids=lambda entry: f"{entry.name}-{entry.codec}")
def test_an_upscaler_is_found_for_its_codec_and_shipped_weights_are_small(
    entry: UpscalerEntry,
) -> None:
    assert upscaler_for(entry.name, entry.codec) is entry
    if entry.file is not None:
        assert weights_of(entry) == entry.file
        assert 0 < entry.file.stat().st_size < (12e6 if entry.codec else 4e6)


def test_the_upscaler_that_is_the_default_is_shipped() -> None:
    assert UPSCALERS[0].name == "latent"
    assert UPSCALERS[0] in AVAILABLE


def test_what_neighbours_on_one_floor_spell_out_for_themselves_agrees() -> None:
    assert LATENT_CODECS == (CDSR1, BMSHJ2018_HYPERPRIOR_GAIN)
    for codec in LATENT_CODECS:
        file = codec_named(codec).folder / "latent.safetensors"
        assert upscaler_for("latent", codec).file == file
    assert UPSCALE == REDUCTION


def test_an_unknown_upscaler_is_refused_with_those_that_can_run() -> None:
    usable = " or ".join(entry.name for entry in AVAILABLE if entry.codec in ("cdsr1", None))
    with pytest.raises(
        ModelError, match=rf"'magic' does not read files of cdsr1\. hint: use {usable}$"
    ):
        upscaler_for("magic", "cdsr1")


def test_the_upscaler_of_a_latent_reads_no_pictures_and_no_other_latents() -> None:
    with pytest.raises(ModelError, match=r"'latent' does not read pictures\. hint: use bicubic or"):
        upscaler_for("latent", None)
    with pytest.raises(ModelError, match="'latent' does not read files of another"):
        upscaler_for("latent", "another")


def test_upscalers_of_pixels_read_every_codec() -> None:
    networks = ("edsr", "edsr-b2", "wdsr", "srgan", "esrgan")
    assert ("bicubic", "lanczos", *networks) == PIXEL_UPSCALERS
    assert networks == WEIGHTED_UPSCALERS
    for name in PIXEL_UPSCALERS:
        assert upscaler_for(name, "cdsr1").name == upscaler_for(name, None).name == name


def test_missing_weights_are_an_error_that_says_where_to_find_some(tmp_path: Path) -> None:
    entry = replace(upscaler_for("wdsr", None), file=tmp_path / "missing")
    assert not entry.is_available
    with pytest.raises(
        ModelError, match=r"no weights for the upscaler 'wdsr'\. hint: .*--weights.*train enlarger"
    ):
        weights_of(entry)
    latent = replace(upscaler_for("latent-perceptual", "cdsr1"), file=tmp_path / "missing")
    with pytest.raises(
        ModelError, match=r"no .* 'latent-perceptual' and files of cdsr1\. hint: add --upscaler l"
    ):
        weights_of(latent)


def test_one_name_stands_for_the_upscalers_of_several_codecs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [entry.codec for entry in UPSCALERS if entry.name == "latent"] == [*LATENT_CODECS]
    assert sorted(UPSCALER_NAMES) == sorted({entry.name for entry in UPSCALERS})
    here, missing = tmp_path / "here", tmp_path / "missing"
    here.touch()
    entries = tuple(
        UpscalerEntry("latent", codec, file)
        for codec, file in zip(LATENT_CODECS, (here, missing), strict=True)
    )
    assert available_names(entries) == available_names(entries[:1] * 2) == ["latent"]
    monkeypatch.setattr("cdsrcodec.sr.registry.UPSCALERS", (*entries, UpscalerEntry("lanczos")))
    assert weights_of(upscaler_for("latent", CDSR1)) == here
    with pytest.raises(ModelError, match=r"files of bmshj.*-gain\. hint: add --upscaler lanczos$"):
        weights_of(upscaler_for("latent", BMSHJ2018_HYPERPRIOR_GAIN))
