"""What the Python interface imports, and when."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import cdsrcodec

ROOT = Path(__file__).resolve().parents[3]


def modules_after(code: str, *arguments: str | Path) -> set[str]:
    """Top-level modules that a new process has imported at the end of the code."""
    listing = "\nimport sys\nsys.stdout.write(' '.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code + listing, *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    modules = {name.split(".")[0] for name in done.stdout.split()}
    assert "cdsrcodec" in modules
    return modules


class TestImports:
    def test_the_package_imports_nothing_heavy(self) -> None:
        heavy = {"torch", "numpy", "PIL", "compressai", "constriction", "safetensors"}
        assert not modules_after("import cdsrcodec; dir(cdsrcodec)") & heavy

    def test_info_imports_no_torch_and_no_numpy(self, stream: Path) -> None:
        code = """
import sys
from pathlib import Path
import cdsrcodec
assert cdsrcodec.info(Path(sys.argv[1]).read_bytes()).width_px == 48
assert cdsrcodec.info_file(Path(sys.argv[1])).width_px == 48
"""
        assert not modules_after(code, stream) & {"torch", "numpy", "compressai"}

    def test_encoding_and_decoding_never_import_compressai(
        self, picture: Path, tmp_path: Path
    ) -> None:
        code = """
import sys
from pathlib import Path
import cdsrcodec
source, folder = map(Path, sys.argv[1:])
cdsrcodec.encode_file(source, folder / "a.cdsr", device="cpu", measure_psnr=True)
cdsrcodec.verify_file(folder / "a.cdsr")
cdsrcodec.decode_file(folder / "a.cdsr", folder / "a.png", device="cpu")
cdsrcodec.decode_file(folder / "a.cdsr", folder / "b.png", sr=4, device="cpu")
"""
        modules = modules_after(code, picture, tmp_path)
        assert "torch" in modules
        assert not modules & {"compressai", "torchvision", "scipy", "click", "rich"}

    def test_every_public_name_is_found_and_no_other(self) -> None:
        for name in cdsrcodec.__all__:
            assert getattr(cdsrcodec, name).__name__ == name
        assert set(cdsrcodec.__all__) <= set(dir(cdsrcodec))
        with pytest.raises(AttributeError, match="'cdsrcodec' has no attribute 'encoder'"):
            cdsrcodec.encoder  # noqa: B018
