"""How errors leave the command line: one line on stderr and the code of their kind."""

from __future__ import annotations

import errno
import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import click

from cdsrcodec.errors import CdsrError, FileAccessError

SIGNAL_EXIT_CODE = 128  # plus the number of the signal, as shells have it
INTERRUPTED_EXIT_CODE = SIGNAL_EXIT_CODE + signal.SIGINT
OUT_OF_MEMORY = "out of memory. hint: a smaller picture needs less"
OUT_OF_MEMORY_EXIT_CODE = 1
_NO_ROOM_FOR_LIBRARIES = "out of memory while libraries are loaded. hint: does ulimit -v limit it?"
# What the loader of shared libraries says then, within an ImportError.
_LOADER_TEXTS = ("failed to map segment", "cannot allocate memory")
_DEBUG_KEY = "cdsrcodec.debug"
_NO_TEXT = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


class Terminated(BaseException):
    """SIGTERM, or SIGHUP of a closed terminal: unwinds the stack, so that temporary files go."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = SIGNAL_EXIT_CODE + number


class OneLineErrorGroup(click.Group):
    """A group that turns expected errors, of its commands too, into one line and an exit code.

    Genuine bugs keep their traceback.
    """

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: object,
    ) -> click.Context:
        """Parse the group's own arguments."""
        with _one_line_errors():
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> object:
        """Parse the command's arguments and run it."""
        with _one_line_errors(), raise_on_termination():
            return super().invoke(ctx)


def _ask_for_tracebacks(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    """From here on `report` shows where errors come from."""
    if value:
        ctx.meta[_DEBUG_KEY] = True


debug_option = click.option(
    "--debug",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_ask_for_tracebacks,
    envvar="CDSRCODEC_DEBUG",
    show_envvar=True,
    help="Show the traceback of an error; also after the command.",
)


def report(error: BaseException, message: str) -> None:
    """Print "error: " and the message on stderr, under --debug after the traceback."""
    import traceback

    say(in_lines(message, "".join(traceback.format_exception(error))))


def memory_message(error: BaseException) -> str | None:
    """What is told of an error that says that memory ran out; None of others."""
    if isinstance(error, MemoryError):
        return OUT_OF_MEMORY
    text = str(error).lower()
    if isinstance(error, ImportError) and any(known in text for known in _LOADER_TEXTS):
        return _NO_ROOM_FOR_LIBRARIES
    return None


def say(line: str) -> None:
    """Print a line, or several, on stderr.

    Where that cannot be written, on a full disk, the work goes on: its outputs may be elsewhere.

    Raises:
        BrokenPipeError: nobody reads it any more.
    """
    try:
        click.echo(line, err=True)
    except BrokenPipeError:
        raise
    except OSError:
        return


def in_lines(message: str, trace: str) -> str:
    """What `report` prints: one line, under --debug after the traceback."""
    ctx = click.get_current_context(silent=True)
    shown = trace if ctx is not None and _DEBUG_KEY in ctx.meta else ""
    return f"{shown}error: {printable(message)}"


def printable(line: str) -> str:
    """The line with escapes in the place of what is no text.

    Names of files may hold line ends, codes that terminals obey, and bytes that no encoding
    takes.
    """
    return _NO_TEXT.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), line)


@contextmanager
def raise_on_termination() -> Iterator[None]:
    """Within, SIGTERM and SIGHUP raise Terminated, unless they are ignored (nohup) or handled."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may handle signals
        return
    signals = [
        number
        for number in (signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM))
        if signal.getsignal(number) is signal.SIG_DFL
    ]
    try:
        for number in signals:
            signal.signal(number, _raise_terminated)
        yield
    finally:
        for number in signals:
            signal.signal(number, signal.SIG_DFL)


def _raise_terminated(number: int, _frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_IGN)  # a second one must not break off the cleaning up
    raise Terminated(number)


@contextmanager
def _one_line_errors() -> Iterator[None]:
    try:
        yield
    except click.exceptions.NoArgsIsHelpError:
        raise  # a group without a command: Click shows its help
    except click.ClickException as error:
        report(error, _usage_message(error))
        raise click.exceptions.Exit(error.exit_code) from error
    except CdsrError as error:
        report(error, str(error))
        raise click.exceptions.Exit(error.exit_code) from error
    except (MemoryError, ImportError) as error:
        shortage = memory_message(error)
        if shortage is None:
            raise
        report(error, shortage)
        raise click.exceptions.Exit(OUT_OF_MEMORY_EXIT_CODE) from error
    except OSError as error:  # not about an input or output: a full disk behind stdout, say
        if error.errno == errno.EPIPE:
            raise  # Click ends quietly
        report(error, f"{_subject_of(error)}{error.strerror or error}")
        raise click.exceptions.Exit(FileAccessError.exit_code) from error
    except KeyboardInterrupt as error:
        report(error, "interrupted")
        raise click.exceptions.Exit(INTERRUPTED_EXIT_CODE) from error
    except Terminated as error:
        report(error, "terminated")
        raise click.exceptions.Exit(error.exit_code) from error


def _subject_of(error: OSError) -> str:
    """What an error of the operating system is about, as far as that is known."""
    if error.filename is not None:
        return f"{error.filename}: "
    import traceback

    *_, (frame, _line) = traceback.walk_tb(error.__traceback__)
    # Errors of writing name no file. What echoes is on its way out: stderr shows this very line.
    is_output = frame.f_code is click.echo.__code__
    return "standard output: cannot be written: " if is_output else ""


def _usage_message(error: click.ClickException) -> str:
    """Click's message, which may have several lines, in the form of ours."""
    message = " ".join(error.format_message().split())
    ctx = error.ctx if isinstance(error, click.UsageError) else None
    if ctx is None or "hint: " in message:
        return message
    return f"{message.rstrip('.')}. hint: {ctx.command_path} --help"
