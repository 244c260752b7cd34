"""Groups of commands, each of which is imported when it is asked for."""

from __future__ import annotations

from importlib import import_module

import click


class DeferredCommand(click.Command):
    """Stands in a LazyGroup for the command of its name in a module.

    Args:
        name: of the command, and of its function.
        module: that has it.
        summary: the first sentence of its help, for the list of the group's commands.
    """

    def __init__(self, name: str, module: str, summary: str) -> None:
        super().__init__(name, help=summary)
        self.module = module

    def load(self) -> click.Command:
        """The command itself."""
        assert self.name is not None
        command: click.Command = getattr(import_module(self.module), self.name)
        return command


class LazyGroup(click.Group):
    """A group whose help imports none of its deferred commands."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name, imported by now."""
        command = super().get_command(ctx, cmd_name)
        return command.load() if isinstance(command, DeferredCommand) else command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands; a plain group takes them as they are."""
        click.Group(commands=self.commands).format_commands(ctx, formatter)
