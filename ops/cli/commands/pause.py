"""`reminders pause` and `reminders resume`: stop the daily schedule, and start it again."""

from __future__ import annotations

import click

from ops.cli import options, output, schedules
from ops.cli.targets.base import Target


@click.command("pause")
@click.option("--reason", help="Why it is paused. `reminders status` shows it.")
@options.yes
@options.with_target
@options.as_json
def pause(target: Target, reason: str | None, yes: bool, as_json: bool) -> None:
    """
    Stop the daily schedule. An active run is not stopped.

    No reminder is lost: the first run after `reminders resume` sends everything that is due. A deployment that changes
    the schedule ends the pause. For a long pause, deploy with ScheduleState=DISABLED.
    """
    _set(target, False, reason, yes, as_json)


@click.command("resume")
@options.yes
@options.with_target
@options.as_json
def resume(target: Target, yes: bool, as_json: bool) -> None:
    """
    Start the daily schedule again.

    The next scheduled run sends everything that is due. `reminders run` sends it now.
    """
    _set(target, True, None, yes, as_json)


def _set(target: Target, enabled: bool, reason: str | None, yes: bool, as_json: bool) -> None:
    name = target.schedule_name  # a bare database has none: fail before the question
    if target.requires_confirmation:
        output.confirm(f"{'Start' if enabled else 'Stop'} the daily reminders of {target.title}?", yes)
    changed = schedules.set_state(target, enabled=enabled, reason=reason)
    if as_json:
        state = "ENABLED" if enabled else "DISABLED"
        output.show_json({"schedule": name, "state": state, "changed": changed, "reason": reason})
    elif enabled:
        what = "Resumed" if changed else "It was not paused"
        output.out().print(f"{what}: {name}. `reminders run` sends late reminders at once.")
    else:
        what = "Paused" if changed else "It was paused already"
        output.out().print(f"{what}: {name}. `reminders resume` starts it again.")
