from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cdsrcodec.evaluation.published import load_published


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
