"""The command as a whole: help, usage errors, exit codes, tracebacks, interrupts."""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable
from functools import partial
from importlib import metadata
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

import cdsrcodec
from cdsrcodec import errors
from cdsrcodec.__main__ import main
from cdsrcodec.cli.failures import (
    INTERRUPTED_EXIT_CODE,
    OneLineErrorGroup,
    debug_option,
    raise_on_termination,
)
from cdsrcodec.cli.main import SUMMARIES, cli
from cdsrcodec.cli.train import train
from cdsrcodec.models.registry import codec_named

Run = Callable[..., Result]
Fails = Callable[..., str]

ROOT = Path(__file__).resolve().parents[2]
ERRORS = sorted(
    (e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, Exception)),
    key=lambda error: error.__name__,
)
EXIT_CODES = {
    "BadMagicError": 4,
    "CdsrError": 1,
    "ChecksumError": 4,
    "DesyncError": 6,
    "DeviceError": 10,
    "FileAccessError": 9,
    "FormatError": 4,
    "InputImageError": 3,
    "LimitError": 8,
    "ModelError": 5,
    "OutputExistsError": 7,
    "TrainingError": 11,
    "TruncatedStreamError": 4,
    "UnknownCriticalChunkError": 4,
    "UnsupportedVersionError": 4,
}


def command_raising(failure: BaseException) -> click.Group:
    """A command line like the real one, whose command `act` raises."""

    @click.group(cls=OneLineErrorGroup)
    @debug_option
    def group() -> None:
        pass

    @group.command()
    @debug_option
    def act() -> None:
        raise failure

    return group


def call(group: click.Group, *args: str, **env: str) -> Result:
    return CliRunner(env=env).invoke(group, args, prog_name="cdsrcodec")


def python(*args: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cdsrcodec", *map(str, args)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_version_is_that_of_the_package(run: Run) -> None:
    result = run("--version")
    assert result.exit_code == 0
    assert result.stdout.split()[-1] == cdsrcodec.__version__


@pytest.mark.parametrize("args", [("--version", "-v"), ("-v", "--version")])
def test_the_verbose_version_tells_libraries_device_and_models(
    run: Run, args: tuple[str, str]
) -> None:
    result = run(*args)
    assert result.exit_code == 0
    first, *lines = result.stdout.splitlines()
    assert first == f"cdsrcodec {cdsrcodec.__version__}"
    told = dict(line.split(maxsplit=1) for line in lines)
    assert told["torch"] == metadata.version("torch")
    assert told["cpu"].endswith(" threads")
    for codec in ("cdsr1, model 1", "bmshj2018-hyperprior-gain, model 4"):
        tag = codec_named(codec.partition(",")[0]).entropy_tag().hex()
        assert ["codec", f"{codec}, tag {tag}"] in [line.split(maxsplit=1) for line in lines]
    assert ["upscaler", "latent of cdsr1"] in [line.split(maxsplit=1) for line in lines]


def test_the_verbose_version_tells_of_a_damaged_model_and_goes_on(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CDSRCODEC_HOME", str(tmp_path))
    folder = tmp_path / "models" / "bmshj2018-hyperprior-mse-4-9f3a7c51"
    folder.mkdir(parents=True)
    result = run("--version", "-v")
    assert result.exit_code == 0
    (line,) = (line for line in result.stdout.splitlines() if "bmshj2018-hyperprior, " in line)
    assert f"model 2, {folder / 'entropy.safetensors'}: the weights cannot be read" in line
    assert result.stdout.splitlines()[-1].startswith("upscaler ")


def test_the_verbose_version_tells_of_models_that_cannot_be_listed(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CDSRCODEC_HOME", str(tmp_path))
    (tmp_path / "models").touch()
    result = run("--version", "-v")
    assert result.exit_code == 0
    assert f"{tmp_path / 'models'}: cannot be read: Not a directory" in result.stdout
    assert "cdsr1, model 1, tag " in result.stdout


def test_verbose_before_a_command_is_wrong_usage(fails: Fails) -> None:
    assert fails(2, "-v", "info", "x.cdsr").startswith("-v goes with --version")


def test_help_lists_every_command(run: Run) -> None:
    result = run("--help")
    assert result.exit_code == 0
    section = result.stdout.split("Commands:\n")[1].split("\n\n")[0]
    listed = [line.split()[0] for line in section.splitlines()]
    assert {"decode", "encode", "info", "verify"} <= set(listed)
    assert listed == sorted(SUMMARIES)


@pytest.mark.parametrize("group", [cli, train], ids=lambda group: str(group.name))
def test_help_lists_each_command_as_its_own_help_begins(group: click.Group) -> None:
    ctx = click.Context(group, max_content_width=200, terminal_width=200)
    commands = {name: group.get_command(ctx, name) for name in group.list_commands(ctx)}
    shown, imported = ctx.make_formatter(), ctx.make_formatter()
    group.format_commands(ctx, shown)
    click.Group(commands=[c for c in commands.values() if c]).format_commands(ctx, imported)
    assert {name: c.name for name, c in commands.items() if c} == {name: name for name in commands}
    assert shown.getvalue() == imported.getvalue()
    assert not any(line.endswith("...") for line in shown.getvalue().splitlines())


def test_a_command_that_is_nearly_right_is_corrected(fails: Fails) -> None:
    assert "'encode'" in fails(2, "encod")


def test_help_explains_every_exit_code(run: Run) -> None:
    section = run("--help").stdout.split("Exit codes:\n")[1]
    explained = {int(number) for number in re.findall(r"\d+", section)}
    assert explained == {2, 130, 143, *EXIT_CODES.values()}


@pytest.mark.parametrize("command", SUMMARIES)
def test_every_command_has_help(run: Run, command: str) -> None:
    result = run(command, "--help")
    assert result.exit_code == 0
    assert result.stdout.startswith(f"Usage: cdsrcodec {command} ")


def test_no_arguments_show_the_help_as_wrong_usage(run: Run) -> None:
    result = run()
    assert result.exit_code == 2
    assert "Commands:" in result.stderr


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["frobnicate"], "No such command 'frobnicate'. hint: cdsrcodec --help"),
        (["--frob"], "No such option '--frob'. hint: cdsrcodec --help"),
        (["info"], "Missing argument 'FILE...'. hint: cdsrcodec info --help"),
        (["info", "--frob"], "No such option '--frob'. hint: cdsrcodec info --help"),
        (
            ["models", "show", "a", "b"],
            "Got unexpected extra argument (b). hint: cdsrcodec models show --help",
        ),
    ],
)
def test_wrong_usage_is_one_line_with_exit_code_2(
    fails: Fails, args: list[str], message: str
) -> None:
    assert fails(2, *args) == message


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_every_error_leaves_with_its_documented_code(error: type[errors.CdsrError]) -> None:
    message = "x.png: what is wrong. hint: what to do"
    if issubclass(error, errors.FormatError):
        failure: errors.CdsrError = error(message, offset=7)
        message += " (byte 7)"
    else:
        failure = error(message)
    result = call(command_raising(failure), "act")
    assert result.exit_code == EXIT_CODES[error.__name__]
    assert result.stderr == f"error: {message}\n"
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("failure", "exit_code", "line"),
    [
        (KeyboardInterrupt(), 130, "error: interrupted\n"),
        (MemoryError(), 1, "error: out of memory. hint: a smaller picture needs less\n"),
        (
            ImportError("libtorch_cpu.so: failed to map segment from shared object"),
            1,
            "error: out of memory while libraries are loaded. hint: does ulimit -v limit it?\n",
        ),
        (click.FileError("x", "is locked"), 1, "error: Could not open file 'x': is locked\n"),
    ],
    ids=["interrupt", "memory", "libraries", "click"],
)
def test_other_expected_failures_are_one_line(
    failure: BaseException, exit_code: int, line: str
) -> None:
    result = call(command_raising(failure), "act")
    assert result.exit_code == exit_code
    assert result.stderr == line


@pytest.mark.skipif(os.name == "nt", reason="a current folder cannot be removed on Windows")
def test_a_current_folder_that_has_been_removed_is_told(
    fails: Fails, stream: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    line = fails(9, "decode", stream, tmp_path / "out.png")
    assert line.startswith("the folder that this is run in has been removed. hint: ")


@pytest.mark.parametrize("bug", [ZeroDivisionError("a bug"), ImportError("no module")])
def test_a_bug_keeps_its_traceback(bug: Exception) -> None:
    result = call(command_raising(bug), "act")
    assert result.exception is bug


@pytest.mark.parametrize(
    ("args", "env"),
    [(["--debug", "act"], {}), (["act", "--debug"], {}), (["act"], {"CDSRCODEC_DEBUG": "1"})],
    ids=["before the command", "after the command", "environment"],
)
def test_debug_shows_the_traceback_before_the_line(args: list[str], env: dict[str, str]) -> None:
    result = call(command_raising(errors.ModelError("unknown")), *args, **env)
    assert result.exit_code == 5
    lines = result.stderr.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[-1] == "error: unknown"


def test_the_whole_process_reports_an_error_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "x.cdsr"
    path.write_bytes(b"not a stream")
    done = python("info", path)
    assert done.returncode == 4
    assert done.stdout == ""
    assert done.stderr.startswith(f"error: {path}: ")
    assert len(done.stderr.splitlines()) == 1


def test_the_whole_process_calls_itself_by_its_name() -> None:
    done = python("info")
    assert done.returncode == 2
    assert done.stderr == "error: Missing argument 'FILE...'. hint: cdsrcodec info --help\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_behind_standard_output_is_one_line(stream: Path, unbuffered: str) -> None:
    command = [sys.executable, "-m", "cdsrcodec", "info", "--json", str(stream)]
    env = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command, cwd=ROOT, env=env, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 9
    line = "error: standard output: cannot be written: No space left on device\n"
    assert done.stderr == line


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize(
    ("args", "exit_code", "outputs"),
    [
        ("info nope", 9, []),
        ("upscale in.png a.png", 0, ["a.png"]),
        ("upscale in.png nope in.png -o out", 9, ["out/in.png"]),
    ],
)
def test_a_full_disk_behind_standard_error_stops_no_work_and_changes_no_code(
    picture: Path, args: str, exit_code: int, outputs: list[str]
) -> None:
    command = [sys.executable, "-m", "cdsrcodec", *args.split()]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": ""}
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, cwd=picture.parent, env=env, stderr=full, check=False)
    assert done.returncode == exit_code
    assert [name for name in outputs if not (picture.parent / name).is_file()] == []


def test_an_error_of_no_file_at_all_is_not_said_to_be_of_standard_output() -> None:
    result = call(command_raising(OSError(errno.ENOSPC, "No space left on device")), "act")
    assert (result.exit_code, result.stderr) == (9, "error: No space left on device\n")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("two\nlines", "two\\nlines"),
        ("\x1b[31mred", "\\x1b[31mred"),
        (os.fsdecode(b"caf\xe9"), "caf\\udce9"),
        ("Gr\u00fc\u00dfe \U0001f408", "Gr\u00fc\u00dfe \U0001f408"),
    ],
)
def test_a_name_is_shown_on_one_line_and_cannot_command_a_terminal(
    run: Run, stream: Path, name: str, shown: str
) -> None:
    path = stream.rename(stream.with_name(name))
    good = run("verify", path)
    assert good.stdout == f"{path.with_name(shown)}: ok\n"
    path.write_bytes(b"no stream")
    assert run("info", path).stderr.startswith(f"error: {path.with_name(shown)}: ")
    batch = run("decode", path, "-o", path.with_name("out"))
    assert len(batch.stderr.splitlines()) == 3
    assert batch.stderr.splitlines()[-1] == f"failed: {path.with_name(shown)}"


@pytest.mark.parametrize(
    ("encoding", "name", "shown"),
    [
        ("utf-8", "日本".encode(), "日本".encode()),
        ("cp1252", "ü日".encode(), b"\xfc\\u65e5"),
        ("utf-8", b"caf\xe9", b"caf\\udce9"),
        ("utf-8:surrogateescape", b"caf\xe9", b"caf\xe9"),
    ],
)
def test_a_name_that_stdout_cannot_take_is_escaped(
    encoding: str, name: bytes, shown: bytes
) -> None:
    command = [sys.executable, "-X", "utf8", "-m", "cdsrcodec", "models", "path"]
    env = {**os.environ, "CDSRCODEC_HOME": f"/{os.fsdecode(name)}", "PYTHONIOENCODING": encoding}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.splitlines() == [b"/" + shown + b"/models"]


@pytest.mark.parametrize(
    ("number", "exit_code", "line"),
    [
        (signal.SIGINT, 130, "error: interrupted\n"),
        (signal.SIGTERM, 143, "error: terminated\n"),
        (signal.SIGHUP, 129, "error: terminated\n"),
    ],
    ids=["control c", "kill", "closed terminal"],
)
def test_a_signal_ends_the_whole_process_with_its_code(
    tmp_path: Path, number: signal.Signals, exit_code: int, line: str
) -> None:
    pipe = tmp_path / "pipe.cdsr"
    os.mkfifo(pipe)
    command = [sys.executable, "-m", "cdsrcodec", "info", str(pipe)]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background jobs, and so what they start, ignore SIGINT; nohup's SIGHUP.
        preexec_fn=partial(signal.signal, number, signal.SIG_DFL),
    )
    with pipe.open("wb"):  # returns when the process has opened its end and waits for bytes
        process.send_signal(number)
        _, stderr = process.communicate(timeout=30)
    assert process.returncode == exit_code
    assert stderr == line


def test_control_c_during_start_up_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Interrupting:
        """Finds no modules: the user interrupts the search for that of the command line."""

        @staticmethod
        def find_spec(name: str, *_: object) -> None:
            if name == "cdsrcodec.cli.main":
                raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "cdsrcodec.cli.main")
    monkeypatch.setattr(sys, "meta_path", [Interrupting, *sys.meta_path])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == INTERRUPTED_EXIT_CODE == 130
    assert capsys.readouterr().err == "error: interrupted\n"


def test_the_installed_program_is_that_of_the_module() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["scripts"]
    assert scripts["cdsrcodec"] == f"{main.__module__}:{main.__name__}"


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with raise_on_termination():
            os.kill(os.getpid(), signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
