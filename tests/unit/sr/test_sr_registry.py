from __future__ import annotations

import pytest

from cdsrcodec.errors import ModelError
from cdsrcodec.sr.registry import PIXEL_UPSCALERS, UPSCALERS, UpscalerEntry, upscaler_for


@pytest.mark.parametrize("entry", UPSCALERS, ids=lambda entry: f"{entry.name}-{entry.codec}")
def test_an_upscaler_is_found_for_its_codec_and_its_weights_are_shipped(
    entry: UpscalerEntry,
) -> None:
    assert upscaler_for(entry.name, entry.codec) is entry
    if entry.codec is not None:
        assert entry.file is not None
        assert 0 < entry.file.stat().st_size < 12e6


def test_an_unknown_upscaler_is_refused_with_those_that_fit() -> None:
    with pytest.raises(
        ModelError,
        match=r"'edsr' does not read files of cdsr1\. "
        "hint: use latent or bicubic or lanczos or esrgan",
    ):
        upscaler_for("edsr", "cdsr1")


def test_the_upscaler_of_a_latent_reads_no_pictures_and_no_other_latents() -> None:
    with pytest.raises(ModelError, match=r"'latent' does not read pictures\. hint: use bicubic or"):
        upscaler_for("latent", None)
    with pytest.raises(ModelError, match="'latent' does not read files of another"):
        upscaler_for("latent", "another")


def test_upscalers_of_pixels_read_every_codec() -> None:
    assert PIXEL_UPSCALERS == ("bicubic", "lanczos", "esrgan")
    for name in PIXEL_UPSCALERS:
        assert upscaler_for(name, "cdsr1").name == upscaler_for(name, None).name == name
