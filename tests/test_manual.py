"""The man pages are those of the commands as they are, and roff understands them."""

from __future__ import annotations

import shutil
import subprocess
import tomllib
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import cdsrcodec
from cdsrcodec.cli.main import cli
from cdsrcodec.cli.manual import make_pages, write_pages

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "packaging" / "man"
PAGES = sorted(FOLDER.glob("*.1"))


def test_the_pages_are_current() -> None:
    found = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.iterdir()}
    made = make_pages(cli, "cdsrcodec", cdsrcodec.__version__)
    hint = "write them anew: python -m cdsrcodec.cli.manual packaging/man"
    assert sorted(found) == sorted(made), hint
    assert {name: page for name, page in made.items() if found[name] != page} == {}, hint


def test_writing_replaces_pages_of_commands_that_are_no_more(tmp_path: Path) -> None:
    (tmp_path / "cdsrcodec-melt.1").write_text("old")
    (tmp_path / "notes.txt").write_text("mine")
    result = CliRunner().invoke(write_pages, [str(tmp_path)])
    assert result.exit_code == 0
    written = {path.name for path in tmp_path.iterdir()}
    assert written == {path.name for path in PAGES} | {"notes.txt"}


def test_nothing_of_a_help_text_is_taken_for_a_roff_command() -> None:
    @click.command(help="Act. More\n.of it.", epilog="\b\n.a  b\n'c")
    @click.option("--dash-ed", metavar="X-Y", help="a\\b")
    def act(dash_ed: str) -> None:
        pass

    (page,) = make_pages(act, "act", "1").values()
    lines = page.splitlines()
    assert "\\&.of it." in lines
    assert lines[lines.index(".nf") : lines.index(".fi") + 1] == [".nf", "\\&.a  b", "\\&'c", ".fi"]
    assert lines[lines.index(".B \\-\\-dash\\-ed X\\-Y") + 1] == "a\\eb"


@pytest.mark.skipif(not shutil.which("groff"), reason="no groff here")
@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_roff_has_nothing_against_a_page(page: Path) -> None:
    command = ["groff", "-man", "-Tutf8", "-ww", str(page)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert done.stdout.startswith(f"{page.stem.upper()}(1)")


def test_the_wheel_puts_the_pages_where_man_looks() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    shared = project["tool"]["hatch"]["build"]["targets"]["wheel"]["shared-data"]
    assert shared == {"packaging/man": "share/man/man1"}
    assert PAGES
