"""`reminders unlock`: free a run lock whose holder does not let go."""

from __future__ import annotations

import time
from dataclasses import asdict

import click

from ops.cli import ledger, options, output
from ops.cli.errors import DONE, UNHEALTHY, CliError
from ops.cli.ledger import Holder
from ops.cli.targets.base import Target
from reminders.database import Connection

PATIENCE_SECONDS = 5.0


@click.command("unlock")
@options.yes
@options.with_target
@options.as_json
def command(target: Target, yes: bool, as_json: bool) -> int:
    """
    End the database session that holds the run lock.

    Seldom needed: the lock is a lease and frees itself 10 s after its Lambda's time is over. A run that is ended so
    dispatches nothing more, and the next one does the rest. Asks first, on the local stack as well.
    """
    with target.connect() as connection:
        held = ledger.holder(connection)
        if held is None:
            _tell(None, False, as_json)
            return DONE
        _show(held)
        output.confirm(f"End session {held.pid} on {target.title}?", yes)
        ended = _end(connection, held)
    _tell(held, ended, as_json)
    return DONE if ended else UNHEALTHY


def _end(connection: Connection, held: Holder) -> bool:
    """Terminate it, if it still is the one that holds the lock; return whether the lock is free then."""
    with connection.transaction(force_rollback=True):
        ledger.become_runner(connection)
        if _still(connection, held):
            connection.execute("SELECT pg_terminate_backend(%s)", [held.pid])
    deadline = time.monotonic() + PATIENCE_SECONDS
    while _still(connection, held):
        if time.monotonic() > deadline:
            raise CliError(f"Session {held.pid} was told to end and has not.", "Try again in a minute.")
        time.sleep(0.1)
    return True


def _still(connection: Connection, held: Holder) -> bool:
    """Whether the same session holds it still: the next run may have taken it meanwhile."""
    now = ledger.holder(connection)
    return now is not None and (now.pid, now.since) == (held.pid, held.since)


def _show(held: Holder) -> None:
    since = f"{held.since:%Y-%m-%d %H:%M:%S} UTC" if held.since else "a time that you may not see"
    words = f"held since {since} by pid {held.pid}, role {held.role}, client {held.client}, {held.application_name}"
    output.err().print(f"The run lock is {words}.", soft_wrap=True)


def _tell(held: Holder | None, ended: bool, as_json: bool) -> None:
    if as_json:
        output.show_json({"held": held and asdict(held), "ended": ended})
    elif held is None:
        output.out().print("The run lock is free.")
    else:
        output.out().print("The run lock is free again. The next run, or the watchdog, settles the ended run's row.")
