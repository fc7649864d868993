"""`reminders unlock`: release the run lock when its holder does not."""

from __future__ import annotations

import time
from dataclasses import asdict

import click

from ops.cli import ledger, options, output
from ops.cli.errors import DONE, UNHEALTHY, CliError
from ops.cli.ledger import Holder
from ops.cli.targets.base import Target
from reminders.database import Connection

WAIT_SECONDS = 5.0


@click.command("unlock")
@options.yes
@options.with_target
@options.as_json
def command(target: Target, yes: bool, as_json: bool) -> int:
    """
    End the database session that holds the run lock.

    You seldom need it: PostgreSQL releases the lock 10 s after the time limit of the run's Lambda. The run that held
    the lock sends nothing more, and the next run sends the rest. The command asks first, also on the local stack.
    """
    with target.connect() as connection:
        held = ledger.holder(connection)
        if held is None:
            _show_result(None, False, as_json)
            return DONE
        since = f"{held.since:%Y-%m-%d %H:%M:%S} UTC" if held.since else "a time that this login may not see"
        output.err().print(f"The run lock is held since {since} by {held}.", soft_wrap=True)
        output.confirm(f"End session {held.pid} on {target.title}?", yes)
        ended = _end(connection, held)
    _show_result(held, ended, as_json)
    return DONE if ended else UNHEALTHY


def _end(connection: Connection, held: Holder) -> bool:
    """Terminate the session if it still holds the lock; return when the lock is free."""
    with connection.transaction(force_rollback=True):
        ledger.become_runner(connection)
        if _still_holds(connection, held):
            connection.execute("SELECT pg_terminate_backend(%s)", [held.pid])
    deadline = time.monotonic() + WAIT_SECONDS
    while _still_holds(connection, held):
        if time.monotonic() > deadline:
            raise CliError(f"Session {held.pid} was terminated, but has not ended.", "Try again in a minute.")
        time.sleep(0.1)
    return True


def _still_holds(connection: Connection, held: Holder) -> bool:
    """Whether the same session still holds the lock; the next run may have taken it meanwhile."""
    now = ledger.holder(connection)
    return now is not None and (now.pid, now.since) == (held.pid, held.since)


def _show_result(held: Holder | None, ended: bool, as_json: bool) -> None:
    if as_json:
        output.show_json({"held": held and asdict(held), "ended": ended})
    elif held is None:
        output.out().print("The run lock is free.")
    else:
        output.out().print("The run lock is free again. The next run, or the watchdog, settles the ended run's row.")
