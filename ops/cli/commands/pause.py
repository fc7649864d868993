"""`reminders pause`: no more ticks until resumed."""

from __future__ import annotations

import click

from ops.cli import options, output, schedules
from ops.cli.targets import Target


@click.command("pause")
@click.option("--reason", help="Why; `reminders status` shows it.")
@options.yes
@options.with_target
@options.as_json
def command(target: Target, reason: str | None, yes: bool, as_json: bool) -> None:
    """
    Stop the daily schedule; a run that is going goes on.

    Nothing is lost: the first run after `reminders resume` sends all that is due. A deployment leaves the state
    alone unless it changes the schedule itself; to pause for long, deploy with ScheduleState=DISABLED.
    """
    name = target.schedule_name  # a database alone has none: said before anything is asked
    if target.asks_first:
        output.confirm(f"Stop the daily reminders of {target.title}?", yes)
    changed = schedules.set_state(target, enabled=False, reason=reason)
    if as_json:
        output.show_json({"schedule": name, "state": "DISABLED", "changed": changed, "reason": reason})
        return
    said = "Paused" if changed else "It was paused already"
    output.out().print(f"{said}: {name}. `reminders resume` starts it again.")
