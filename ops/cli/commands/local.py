"""`reminders local`: the whole system on this machine."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import threading
import time
from datetime import datetime
from types import FrameType

import click

from ops.cli import local_state, output
from ops.cli.errors import DONE, UNREACHABLE, CliError
from ops.cli.local import invoke
from ops.local.binaries import PostgresError, find_programs
from ops.tables import styled

STOP_SECONDS = 15.0


@click.group("local")
def command() -> None:
    """
    Run the whole stack on this machine: PostgreSQL, AWS (moto), the functions.

    It needs no account, no Docker and no root, and removes all its files when it stops. While it runs, every other
    command works on it, unless --stack, REMINDERS_STACK, --database or DATABASE_URL names another target.
    """


command.add_command(invoke.command)


@command.command("up")
@click.option(
    "--assignments", type=click.IntRange(0, 1_000_000), default=1_000, show_default=True, help="How many assignments."
)
@click.option("--days", type=click.IntRange(0, 365), default=30, show_default=True, help="Days of generated history.")
@click.option("--for-sam", is_flag=True, help="Let containers reach the stack, for `reminders local invoke`.")
def up(assignments: int, days: int, for_sam: bool) -> int:
    """
    Start the local stack in this terminal. Ctrl-C stops it.

    Alerts, mails and pushes are shown as they arrive. The schedule does not start runs here: use `reminders run`.
    """
    stop = _stop_signal()
    try:
        with local_state.exclusive_state_file() as handle, output.working("Starting PostgreSQL, AWS and the functions"):
            from ops.cli.local.up import stack_for_sam, watch, whole_stack

            with (stack_for_sam if for_sam else whole_stack)(assignments, days) as (stack, state):
                local_state.write(handle, state)
                _print_addresses(state, assignments)
                watch(stack, _print_arrival, lambda: not stop.wait(0.25))
    except PostgresError as error:
        raise CliError(str(error)) from None
    output.out().print("Stopped. All its files are removed.")
    return DONE


@command.command("down")
def down() -> int:
    """Stop a local stack that runs in another terminal."""
    pid = local_state.running_pid()
    if pid is None:
        output.out().print("No local stack is running.")
        return DONE
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while local_state.running_pid() is not None:
        if time.monotonic() > deadline:
            raise CliError(f"Process {pid} was asked to stop, but is still running.")
        time.sleep(0.1)
    output.out().print("Stopped.")
    return DONE


@command.command("courier")
def courier() -> int:
    """
    Send the messages that are due, as the courier does every five minutes.

    Nothing leaves this machine. Each mail is written to an .eml file, which you can open in a mail program. First use
    `reminders run`, which creates the notifications.
    """
    from ops.cli.local.courier import send

    answer, new = send(_running_stack())
    for channel, tally in answer["channels"].items():
        output.out().print(f"{channel}: {tally['sent']:,} sent, {tally['failed']:,} failed, {tally['retried']:,} later")
    output.out().print(f"{new:,} new mails in {local_state.mail_folder()}", soft_wrap=True)
    return DONE


@command.command("psql", context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def psql(arguments: tuple[str, ...]) -> int:
    """
    Open psql on the local stack's database, as `postgres`.

    ARGUMENTS are those of psql. To use another role: SET ROLE cron_runner.
    """
    # By environment: arguments can be read by every local user.
    environment = {**os.environ, **_libpq(_running_stack().database_url)}
    return subprocess.run([_psql(), *arguments], env=environment, check=False).returncode


@command.command("env")
def env() -> None:
    """
    Print DATABASE_URL of the local stack, for a shell.

    After eval "$(reminders local env)" the documented commands with `psql "$DATABASE_URL"` work on the local stack.
    """
    click.echo(f"export DATABASE_URL={shlex.quote(_running_stack().database_url)}")


def _running_stack() -> local_state.LocalState:
    state = local_state.read()
    if state is None:
        raise CliError("No local stack is running.", "Start one with `reminders local up`.", UNREACHABLE)
    return state


def _stop_signal() -> threading.Event:
    """Set by Ctrl-C, and by the SIGTERM of `local down` or a supervisor."""
    stop = threading.Event()

    def request(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt  # the second time: do not wait for a clean stop
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, request)
    return stop


def _print_addresses(state: local_state.LocalState, assignments: int) -> None:
    console = output.out()
    console.print(styled("The local stack is up", "bold"), f"with {assignments:,} assignments in 6 organisations.")
    console.print()
    console.print(output.pairs(state.addresses.items()))
    console.print()
    if state.sam_environment:
        console.print(f"For SAM CLI: {state.sam_environment}")
        console.print("`reminders local invoke cron infra/events/cron-dry-run.json` uses it.")
        console.print()
    console.print("In another terminal: reminders status | run | logs | plan | doctor | local courier | local psql")
    console.print("Ctrl-C stops it. Alerts, mails and pushes appear here:")


def _print_arrival(channel: str, text: str) -> None:
    output.out().print(f"{datetime.now():%H:%M:%S} {channel}: {text}", soft_wrap=True)


def _psql() -> str:
    """The psql of the server's installation, else the one in PATH."""
    found = shutil.which("psql", path=f"{find_programs(None)}{os.pathsep}{os.environ.get('PATH', os.defpath)}")
    if not found:
        raise CliError("psql is not installed.", "Debian: apt install postgresql-client.", UNREACHABLE)
    return found


def _libpq(url: str) -> dict[str, str]:
    from psycopg import conninfo

    names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD", "dbname": "PGDATABASE"}
    found = conninfo.conninfo_to_dict(url)
    return {variable: str(found[name]) for name, variable in names.items() if found.get(name)}
