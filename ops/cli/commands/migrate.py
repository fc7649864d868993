"""`reminders migrate`: bring the schema up to date."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

import click
from psycopg import conninfo

from ops.cli import ledger, options, output
from ops.cli.errors import DONE, UNHEALTHY, WRONG_USE, CliError
from ops.cli.targets.base import Target
from ops.cli.targets.database import TRANSACTION_POOLER


@click.command("migrate")
@click.option("--check", is_flag=True, help="Only show pending migrations. The exit code is 1 when there are any.")
@options.yes
@options.with_target
@options.as_json
def command(target: Target, check: bool, yes: bool, as_json: bool) -> int:
    """
    Apply the pending migrations.

    Shows them and asks first. Runs dbmate as the operator (`postgres`), by the direct connection or the session port.
    `supabase db push` uses the same files and the same table, so you can use both.
    """
    with target.connect() as connection:
        pending = ledger.pending_migrations(connection)
    if not as_json:
        _show(pending)
    if pending and not check:
        _apply(target, yes)
    if as_json:
        output.show_json({"pending": pending, "applied": bool(pending) and not check})
    return UNHEALTHY if pending and check else DONE


def _show(pending: list[str]) -> None:
    if not pending:
        output.out().print("No migrations are pending.")
        return
    output.out().print(f"Pending migrations: {len(pending)}")
    for name in pending:
        output.out().print(f"  {name}")


def _apply(target: Target, yes: bool) -> None:
    from ops.migrations import migrate

    url = target.database_url()
    found = conninfo.conninfo_to_dict(url)
    if str(found.get("port", "")) == str(TRANSACTION_POOLER):
        hint = "Give the direct connection's URI, or the session pooler's (port 5432)."
        raise CliError(
            f"Migrations cannot run through the transaction pooler (port {TRANSACTION_POOLER}).", hint, WRONG_USE
        )
    if target.requires_confirmation:
        output.confirm(f"Apply them to {target.title}?", yes)
    with output.working("Migrating"):
        printed = migrate(_encoded(found))
    for line in printed.splitlines():
        if line.strip():
            output.err().print(f"  {line}", soft_wrap=True)


def _encoded(found: dict[str, Any]) -> str:
    """
    The URI with every part percent-encoded.

    libpq accepts a # in a password; dbmate does not, and would quote the password in its error.
    """
    parts = {name: quote(str(found.pop(name, "")), safe="") for name in ("user", "password", "host", "port", "dbname")}
    login = f"{parts['user']}:{parts['password']}" if parts["password"] else parts["user"]
    place = f"{parts['host']}:{parts['port']}" if parts["port"] else parts["host"]
    more = f"?{urlencode(found)}" if found else ""
    return f"postgresql://{login}@{place}/{parts['dbname']}{more}"
