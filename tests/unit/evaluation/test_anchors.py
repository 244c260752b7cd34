from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cdsrcodec.evaluation.anchors import ANCHORS, load_published
from cdsrcodec.evaluation.metrics import psnr_rgb_db

Picture = NDArray[np.uint8]


@pytest.mark.parametrize("name", ANCHORS)
def test_anchor_returns_the_whole_file_and_its_picture(
    name: str, picture: Callable[..., Picture]
) -> None:
    x = picture(32, 48)
    stream, x_hat = ANCHORS[name].code(x, 50)
    with Image.open(io.BytesIO(stream)) as image:
        assert image.format == name.upper()
        np.testing.assert_array_equal(np.asarray(image.convert("RGB")), x_hat)
    assert x_hat.shape == x.shape
    assert psnr_rgb_db(x, x_hat) > 25


@pytest.mark.parametrize("name", ANCHORS)
def test_ladder_rises_in_rate_and_psnr(name: str, picture: Callable[..., Picture]) -> None:
    x = picture(64, 64)
    ladder = ANCHORS[name]
    assert list(ladder.qualities) == sorted(set(ladder.qualities))
    low, high = (ladder.code(x, ladder.qualities[i]) for i in (0, -1))
    assert len(low.stream) < len(high.stream)
    assert psnr_rgb_db(x, low.x_hat) < psnr_rgb_db(x, high.x_hat)


def test_published_curves_are_read_by_name(tmp_path: Path) -> None:
    path = tmp_path / "anchors.json"
    curve = {"bpp": [0.2, 0.1], "psnr_rgb": [31, 29], "ms_ssim_rgb": [0.9, 0.8]}
    path.write_text(json.dumps({"source": "a test", "codecs": {"vtm": curve}}))
    published = load_published(path)
    assert list(published) == ["vtm"]
    np.testing.assert_array_equal(published["vtm"].bpp, [0.1, 0.2])
    np.testing.assert_array_equal(published["vtm"].psnr_db, [29, 31])


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"codecs": 1}', '{"codecs": {"vtm": {"bpp": [1]}}}',
     '{"codecs": {"vtm": {"bpp": [1, 2], "psnr_rgb": [30]}}}'],
)  # fmt: skip
def test_another_file_is_no_file_of_curves(tmp_path: Path, text: str) -> None:
    path = tmp_path / "anchors.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"anchors\.json: not a file of published curves"):
        load_published(path)
