"""cdsrcodec completion: scripts that shells accept, and what they complete."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable

import pytest
from click.shell_completion import BashComplete
from click.testing import Result

from cdsrcodec.cli.completion import SHELLS
from cdsrcodec.cli.main import cli

Run = Callable[..., Result]


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_calls_the_program_back(run: Run, shell: str) -> None:
    result = run("completion", shell)
    assert result.exit_code == 0
    assert result.stderr == ""
    assert f"_CDSRCODEC_COMPLETE={shell}_complete" in result.stdout


@pytest.mark.parametrize("shell", SHELLS)
def test_the_shell_itself_accepts_the_script(run: Run, shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not here")
    script = run("completion", shell).stdout
    check = subprocess.run([shell, "-n"], input=script, capture_output=True, text=True, check=False)
    assert (check.returncode, check.stderr) == (0, "")


def test_help_shows_how_each_shell_takes_it_on_lines_of_their_own(run: Run) -> None:
    lines = [line.strip() for line in run("completion", "--help").stdout.splitlines()]
    assert [line.split(": ")[0] for line in lines if "cdsrcodec completion" in line] == [
        "Usage",
        *SHELLS,
    ]


def test_another_shell_is_wrong_usage(run: Run) -> None:
    assert run("completion", "cmd").exit_code == 2


@pytest.mark.parametrize(
    ("words", "start", "completed"),
    [
        ([], "de", {"decode"}),
        (["decode", "--format"], "w", {"webp"}),
        (["decode"], "--max", {"--max-memory", "--max-pixels"}),
        (["encode", "--device"], "c", {"cpu", "cuda"}),
    ],
)
def test_commands_options_and_choices_are_completed(
    words: list[str], start: str, completed: set[str]
) -> None:
    complete = BashComplete(cli, {}, "cdsrcodec", "_CDSRCODEC_COMPLETE")
    assert {item.value for item in complete.get_completions(words, start)} == completed


def test_files_are_left_to_the_shell() -> None:
    complete = BashComplete(cli, {}, "cdsrcodec", "_CDSRCODEC_COMPLETE")
    (item,) = complete.get_completions(["encode"], "pic")
    assert item.type == "file"
