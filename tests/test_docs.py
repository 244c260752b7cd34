"""README.md and docs/ name only what exists, and docs/cli.md all that exists."""

from __future__ import annotations

import dataclasses
import importlib.util
import inspect
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import cdsrcodec
from cdsrcodec import errors
from cdsrcodec.cli.main import cli
from cdsrcodec.errors import CdsrError

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
CLI_DOCUMENT = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")

LINK = re.compile(r'\]\(<?([^)\s>]+)>?[^)]*\)|(?:src|href|srcset)="([^"]+)"')
# A path from the root of the project, wherever in the text it stands.
ROOT_PATH = re.compile(r"(?<![\w./-])(?:cdsrcodec|docs|sample_images|tests|\.ci)/[\w./*-]*")
FENCE = re.compile(r"^```.*?\n(.*?)^```", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"^(?: {4}|\t)(.+)$", re.MULTILINE)
INLINE = re.compile(r"`([^`\n]+)`")
EVERYWHERE = {"--debug", "--help"}


def name_of(document: Path) -> str:
    """Its path in the project."""
    return document.relative_to(ROOT).as_posix()


def read(document: Path) -> str:
    return document.read_text(encoding="utf-8")


def links(text: str) -> Iterator[str]:
    """Targets inside the project, without anchors."""
    for match in LINK.finditer(text):
        target = (match[1] or match[2]).split("#")[0]
        if target and not re.match(r"[a-z]+:", target):
            yield target


def command_lines(text: str) -> Iterator[list[str]]:
    """Arguments of every call of the program in code, "--sr 1|4" and "[-f]" included."""
    blocks = FENCE.findall(text)
    rest = FENCE.sub("", text)
    code = "\n".join([*blocks, *INDENTED.findall(rest), *INLINE.findall(rest)])
    for segment in re.split(r"\n|&&|[;|]", code.replace("\\\n", " ")):
        if "cdsrcodec" not in segment:
            continue
        words = shlex.split(segment.removeprefix("$ "), comments=True)
        while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
            words.pop(0)
        module = words.index("-m") + 1 if "-m" in words else 0
        if module and words[module] == "--":  # ends the options of torchrun
            module += 1
        if module and words[module] == "cdsrcodec":
            yield words[module + 1 :]
        elif words and (words[0] == "cdsrcodec" or words[0].endswith("/cdsrcodec")):
            yield words[1:]


def option_names(command: click.Command) -> set[str]:
    """Every spelling of every option."""
    parameters = command.get_params(click.Context(command))
    options = [p for p in parameters if isinstance(p, click.Option)]
    return {name for option in options for name in (*option.opts, *option.secondary_opts)}


def commands(group: click.Group, prefix: str = "cdsrcodec") -> Iterator[tuple[str, click.Command]]:
    """All commands that do something, by the words that call them."""
    ctx = click.Context(group)
    for name in group.list_commands(ctx):
        words, command = f"{prefix} {name}", group.get_command(ctx, name)
        assert command is not None, words
        if isinstance(command, click.Group):
            yield from commands(command, words)
        else:
            yield words, command


def check_command_line(words: list[str]) -> None:
    """Every word that should be a command is one, and every option is one of its command."""
    command: click.Command = cli
    for word in (word.strip("[]") for word in words):
        if word == "-":
            continue  # standard input or output
        if word.startswith("-"):
            spellings = {name.split("=")[0] for name in word.split("/")}
            assert spellings <= option_names(command), words
        elif isinstance(command, click.Group) and word not in {"OPTIONS", ""}:
            member = command.get_command(click.Context(command), word)
            assert member is not None, words
            command = member


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_link_leads_to_a_file(document: Path) -> None:
    missing = [link for link in links(read(document)) if not (document.parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_path_that_is_named_exists(document: Path) -> None:
    paths = {path.rstrip(".") for path in ROOT_PATH.findall(read(document))}
    assert [path for path in sorted(paths) if not any(ROOT.glob(path))] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_command_line_that_is_shown_would_parse(document: Path) -> None:
    shown = list(command_lines(read(document)))
    for words in shown:
        check_command_line(words)
    assert shown or name_of(document) not in {"README.md", "docs/cli.md"}


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_module_that_is_named_exists(document: Path) -> None:
    named = set(re.findall(r"python3? -m (cdsrcodec[\w.]*)", read(document)))
    assert [name for name in sorted(named) if importlib.util.find_spec(name) is None] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_extra_that_is_named_exists(document: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = set(re.findall(r"(?:\.|cdsrcodec)\[([a-z,]+)\]", read(document)))
    extras = {extra for names in named for extra in names.split(",")}
    assert extras <= set(project["optional-dependencies"])


@pytest.mark.parametrize(("words", "command"), list(commands(cli)))
def test_every_command_has_a_section_with_its_options(words: str, command: click.Command) -> None:
    assert f"\n## {words}\n" in CLI_DOCUMENT
    section = CLI_DOCUMENT.split(f"\n## {words}\n")[1].split("\n## ")[0]
    described = set(re.findall(r"`(-[\w-]+)`", section))
    assert option_names(command) - described <= EVERYWHERE
    assert described <= option_names(command)


def test_every_error_stands_beside_its_exit_code() -> None:
    rows = re.findall(r"^\| (\d+) \|([^|]*)\|", CLI_DOCUMENT, re.MULTILINE)
    documented = {name: int(code) for code, names in rows for name in re.findall(r"`(\w+)`", names)}
    classes = [c for _, c in inspect.getmembers(errors, inspect.isclass)]
    assert documented == {c.__name__: c.exit_code for c in classes if issubclass(c, CdsrError)}


def test_every_key_of_a_json_line_is_listed() -> None:
    table = CLI_DOCUMENT.split("| Key | Value |")[1].split("\n\n")[0]
    listed = {
        key
        for cell in re.findall(r"^\|([^|]*)\|", table, re.MULTILINE)
        for key in re.findall(r"`(\w+)`", cell)
    }
    fields = {
        field.name
        for report in (cdsrcodec.EncodeReport, cdsrcodec.DecodeReport)
        for field in dataclasses.fields(report)
    }
    of_any = {"input", "output", "status", "exit_code", "error", "message", "attempts"}
    assert listed == fields | of_any


def test_a_command_line_that_would_not_parse_is_noticed() -> None:
    for line in ("`cdsrcodec enlarge IN OUT`", "`cdsrcodec encode --faster IN OUT`"):
        (words,) = command_lines(line)
        with pytest.raises(AssertionError, match=words[0]):
            check_command_line(words)
