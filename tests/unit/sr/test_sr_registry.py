from __future__ import annotations

import pytest

from cdsrcodec.errors import ModelError
from cdsrcodec.sr.registry import UPSCALERS, UpscalerEntry, upscaler_for


@pytest.mark.parametrize("entry", UPSCALERS, ids=lambda entry: f"{entry.name}-{entry.codec}")
def test_an_upscaler_is_found_for_its_codec_and_its_weights_are_shipped(
    entry: UpscalerEntry,
) -> None:
    assert upscaler_for(entry.name, entry.codec) is entry
    assert 0 < entry.file.stat().st_size < 30e6


def test_an_unknown_upscaler_is_refused_with_those_that_fit() -> None:
    with pytest.raises(ModelError, match=r"'edsr' does not read files of cdsr1\. hint: use latent"):
        upscaler_for("edsr", "cdsr1")


def test_a_codec_without_upscalers_is_told_to_decode_at_native_size() -> None:
    with pytest.raises(ModelError, match="hint: use native size"):
        upscaler_for("latent", "another")
