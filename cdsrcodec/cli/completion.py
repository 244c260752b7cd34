"""cdsrcodec completion: the script that teaches a shell to complete commands and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from cdsrcodec.cli.failures import debug_option

SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@debug_option
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script for SHELL.

    \b
    bash: eval "$(cdsrcodec completion bash)" in ~/.bashrc
    zsh:  eval "$(cdsrcodec completion zsh)" in ~/.zshrc
    fish: cdsrcodec completion fish > ~/.config/fish/completions/cdsrcodec.fish
    """  # noqa: D301 - the mark is the character itself, not a backslash
    completion_class = get_completion_class(shell)
    assert completion_class is not None, shell  # Click knows the three of them
    program = ctx.find_root().command
    script = completion_class(program, {}, "cdsrcodec", "_CDSRCODEC_COMPLETE")
    # Not source(), which for bash would first look for bash and its version on this machine.
    click.echo(script.source_template % script.source_vars())
