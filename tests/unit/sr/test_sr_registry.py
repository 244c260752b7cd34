from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cdsrcodec.chunks.facts import REDUCTION
from cdsrcodec.errors import ModelError
from cdsrcodec.models.registry import CDSR1, codec_named
from cdsrcodec.sr.registry import (
    LATENT_CODEC,
    PIXEL_UPSCALERS,
    UPSCALE,
    UPSCALERS,
    WEIGHTED_UPSCALERS,
    UpscalerEntry,
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
    assert LATENT_CODEC == CDSR1
    assert upscaler_for("latent", CDSR1).file == codec_named(CDSR1).folder / "latent.safetensors"
    assert UPSCALE == REDUCTION


def test_an_unknown_upscaler_is_refused_with_those_that_can_run() -> None:
    usable = " or ".join(entry.name for entry in AVAILABLE)
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
        ModelError, match=r"no weights for the upscaler 'latent-perceptual'\. hint: use another"
    ):
        weights_of(latent)
