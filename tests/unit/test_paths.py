"""How files may be named in Python: by whatever `open` takes as a name in text."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Callable
from pathlib import Path, PurePath

import pytest
from PIL import Image

import cdsrcodec
from cdsrcodec import api
from cdsrcodec.errors import CdsrError

Name = Callable[[Path], str | os.PathLike[str]]
# A PurePath is a PathLike that opens nothing.
NAMES = [pytest.param(str, id="str"), pytest.param(PurePath, id="PathLike")]


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "in.png"
    Image.new("RGB", (16, 16), "teal").save(path)
    return path


@pytest.mark.parametrize("name", NAMES)
def test_the_functions_for_files_take_any_kind_of_name(picture: Path, name: Name) -> None:
    stream, back, large = (picture.with_name(n) for n in ("out.cdsr", "back.png", "large.png"))
    cdsrcodec.encode_file(
        name(picture), name(stream), device="cpu", keep_attributes=True, measure_psnr=True
    )
    assert cdsrcodec.info_file(name(stream)) == cdsrcodec.verify_file(name(stream))
    cdsrcodec.decode_file(name(stream), name(back), device="cpu")
    cdsrcodec.upscale_file(name(picture), name(large), keep_attributes=True, device="cpu")
    with Image.open(back) as small, Image.open(large) as enlarged:
        assert (small.size, enlarged.size) == ((16, 16), (64, 64))


@pytest.mark.parametrize("name", NAMES)
def test_files_of_weights_may_be_named_so_too(picture: Path, name: Name) -> None:
    absent = picture.with_name("absent.safetensors")
    stream, target = picture.with_name("out.cdsr"), picture.with_name("out.png")
    cdsrcodec.encode_file(picture, stream, device="cpu")
    calls: list[Callable[[], object]] = [
        lambda: api.upscale(
            Image.new("RGB", (4, 4)), upscaler="edsr", upscaler_weights=name(absent)
        ),
        lambda: api.decode_file(
            stream, target, sr=4, upscaler="edsr", upscaler_weights=name(absent)
        ),
        lambda: api.import_model(name(absent), quality=4),
    ]
    for call in calls:
        with pytest.raises(CdsrError, match=re.escape(str(absent))):
            call()


def test_no_function_of_the_interface_asks_for_a_path_object() -> None:
    functions = [f for f in vars(api).values() if inspect.isfunction(f)]
    asked = {
        f"{function.__name__}({parameter})"
        for function in functions
        for parameter in inspect.signature(function).parameters.values()
        if re.search(r"\bPath\b", str(parameter.annotation))
    }
    assert {"encode_file", "import_model"} <= {function.__name__ for function in functions}
    assert asked == set()
