"""What desktops are told of the format is true of the files."""

from __future__ import annotations

import configparser
import os
import shutil
import subprocess
import tomllib
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from PIL import Image

import cdsrcodec.pillow
from cdsrcodec import thumbnailer
from cdsrcodec.container.header import MAGIC

ROOT = Path(__file__).resolve().parents[1]
PACKAGING = ROOT / "packaging"
GOLDEN = sorted((ROOT / "tests" / "conformance" / "valid").glob("*.cdsr"))
NAMESPACE = {"m": "http://www.freedesktop.org/standards/shared-mime-info"}


def mime_type() -> ET.Element:
    found = ET.parse(PACKAGING / "cdsrcodec.xml").getroot().find("m:mime-type", NAMESPACE)
    assert found is not None
    return found


def test_the_mime_type_matches_our_files_by_content_and_name() -> None:
    element = mime_type()
    assert element.get("type") == cdsrcodec.pillow.MIME_TYPE
    (match,) = element.findall("m:magic/m:match", NAMESPACE)
    assert (match.get("type"), match.get("offset")) == ("string", "0")
    value = (match.get("value") or "").encode("ascii").decode("unicode_escape").encode("latin-1")
    assert value == MAGIC
    assert GOLDEN
    assert all(path.read_bytes().startswith(value) for path in GOLDEN)
    (glob,) = element.findall("m:glob", NAMESPACE)
    assert all(path.match(glob.get("pattern") or "") for path in GOLDEN)


@pytest.mark.skipif(not shutil.which("update-mime-database"), reason="no shared-mime-info here")
def test_the_mime_database_takes_the_type(tmp_path: Path) -> None:
    packages = tmp_path / "mime" / "packages"
    packages.mkdir(parents=True)
    shutil.copy(PACKAGING / "cdsrcodec.xml", packages)
    done = subprocess.run(
        ["update-mime-database", tmp_path / "mime"],
        env=os.environ | {"XDG_DATA_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    assert "image/x-cdsr:*.cdsr" in (tmp_path / "mime" / "globs").read_text(encoding="utf-8")


@pytest.mark.skipif(not shutil.which("file"), reason="no file(1) here")
def test_file_names_the_format() -> None:
    command: list[str | Path] = ["file", "-m", PACKAGING / "cdsrcodec.magic", "--brief"]
    for option, said in (
        ("--brief", "CDSR image data, version 1"),
        ("--mime-type", "image/x-cdsr"),
    ):
        done = subprocess.run(
            [*command, option, GOLDEN[0]], capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == said


def test_the_thumbnailer_entry_calls_the_installed_program() -> None:
    entry = configparser.ConfigParser(interpolation=None)
    entry.read(PACKAGING / "cdsrcodec.thumbnailer")
    section = entry["Thumbnailer Entry"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    program, *arguments = section["Exec"].split()
    assert project["scripts"][program] == "cdsrcodec.thumbnailer:main"
    assert section["TryExec"] == program
    assert arguments == ["%i", "%o", "%s"]
    assert section["MimeType"] == f"{cdsrcodec.pillow.MIME_TYPE};"


def test_a_thumbnail_is_a_small_png(tmp_path: Path) -> None:
    target = tmp_path / "thumbnail"  # file managers give it no extension
    source = ROOT / "tests" / "conformance" / "valid" / "alpha-33x20-q3.cdsr"
    assert thumbnailer.main([str(source), str(target), "16"]) == 0
    with Image.open(target) as image:
        assert (image.format, image.mode, image.size) == ("PNG", "RGBA", (16, 10))


@pytest.mark.parametrize("content", [None, b"", b"no picture", GOLDEN[0].read_bytes()[:-1]])
def test_a_thumbnail_that_cannot_be_made_is_one_line(
    tmp_path: Path, content: bytes | None, capsys: pytest.CaptureFixture[str]
) -> None:
    source, target = tmp_path / "x.cdsr", tmp_path / "thumbnail"
    if content is not None:
        source.write_bytes(content)
    assert thumbnailer.main([str(source), str(target), "16"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {source}: ")
    assert not target.exists()


def test_a_thumbnail_that_memory_does_not_suffice_for_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run_out(_: bytes) -> Image.Image:
        raise MemoryError("[enforce fail at alloc_cpu.cpp]\nDefaultCPUAllocator")

    monkeypatch.setattr("cdsrcodec.api.decode", run_out)
    assert thumbnailer.main([str(GOLDEN[0]), str(tmp_path / "thumbnail"), "16"]) == 1
    assert capsys.readouterr().err == f"error: {GOLDEN[0]}: out of memory\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", ["0", "5000", "big"])
def test_a_size_out_of_range_is_wrong_usage(size: str) -> None:
    with pytest.raises(SystemExit) as caught:
        thumbnailer.main(["x.cdsr", "y", size])
    assert caught.value.code == 2
