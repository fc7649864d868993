"""`reminders resume`: the ticks come again."""

from __future__ import annotations

import click

from ops.cli import options, output, schedules
from ops.cli.targets import Target


@click.command("resume")
@options.yes
@options.with_target
@options.as_json
def command(target: Target, yes: bool, as_json: bool) -> None:
    """
    Start the daily schedule again.

    The next tick does what the paused ones would have done; to have it at once, `reminders run`.
    """
    name = target.schedule_name  # a database alone has none: said before anything is asked
    if target.asks_first:
        output.confirm(f"Start the daily reminders of {target.title} again?", yes)
    changed = schedules.set_state(target, enabled=True, reason=None)
    if as_json:
        output.show_json({"schedule": name, "state": "ENABLED", "changed": changed})
        return
    said = "Resumed" if changed else "It was not paused"
    output.out().print(f"{said}: {name}. `reminders run` sends what is late, at once.")
