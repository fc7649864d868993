"""`reminders completion`: the shell completes commands and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from ops.cli.errors import WRONG_USE, CliError

WHERE = {
    "bash": 'eval "$(reminders completion bash)"     # in ~/.bashrc',
    "zsh": 'eval "$(reminders completion zsh)"      # in ~/.zshrc, after compinit',
    "fish": "reminders completion fish | source      # in ~/.config/fish/config.fish",
}
HELP = "\n".join(f"  {line}" for line in WHERE.values())


@click.command(
    "completion",
    help=f"Print the script that makes a shell complete `reminders`.\n\n\b\nTo have it always:\n{HELP}",
    short_help="Print the script that makes a shell complete `reminders`.",
)
@click.argument("shell", type=click.Choice(list(WHERE)))
def command(shell: str) -> None:
    from ops.cli.main import cli

    made = get_completion_class(shell)
    if made is None:
        raise CliError(f"There is no completion for {shell}.", code=WRONG_USE)
    # Only the text is made: click's own way would ask bash for its version first, and print that it cannot.
    complete = made(cli, {}, "reminders", "_REMINDERS_COMPLETE")
    click.echo(complete.source_template % complete.source_vars())
