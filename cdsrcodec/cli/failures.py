"""How errors leave the command line: one line on stderr and the code of their kind."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import click

from cdsrcodec.errors import CdsrError

INTERRUPTED_EXIT_CODE = 130  # 128 + SIGINT, as shells have it
OUT_OF_MEMORY_EXIT_CODE = 1
_DEBUG_KEY = "cdsrcodec.debug"


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
        with _one_line_errors():
            return super().invoke(ctx)


def ask_for_tracebacks(ctx: click.Context) -> None:
    """From here on `report` shows where errors come from: the option --debug."""
    ctx.meta[_DEBUG_KEY] = True


def report(error: BaseException, message: str) -> None:
    """Print "error: " and the message on stderr, under --debug after the traceback."""
    ctx = click.get_current_context(silent=True)
    if ctx is not None and _DEBUG_KEY in ctx.meta:
        traceback.print_exception(error, file=sys.stderr)
    click.echo(f"error: {message}", err=True)


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
    except MemoryError as error:
        report(error, "out of memory. hint: a smaller picture needs less")
        raise click.exceptions.Exit(OUT_OF_MEMORY_EXIT_CODE) from error
    except KeyboardInterrupt as error:
        report(error, "interrupted")
        raise click.exceptions.Exit(INTERRUPTED_EXIT_CODE) from error


def _usage_message(error: click.ClickException) -> str:
    """Click's message, which may have several lines, in the form of ours."""
    message = " ".join(error.format_message().split())
    ctx = error.ctx if isinstance(error, click.UsageError) else None
    if ctx is None:
        return message
    return f"{message.rstrip('.')}. hint: {ctx.command_path} --help"
