"""Checks of the database itself, as the operator sees it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from ops.cli import ledger
from ops.cli.doctor.examination import Examination, Finding, ok, problem, warning
from ops.cli.output import span
from ops.schema import MATRIX

OLDEST_SERVER = 150_000
LARGEST_SKEW = timedelta(seconds=5)
# Tables that may have been the app's before, and the functions' own.
APPS = {"assignments", "org_settings", "activities", "notifications", "reminder_notifications"}
OURS = {table for table in MATRIX["tables"] if "." not in table} - APPS


def check_connection(examination: Examination) -> Iterator[Finding]:
    """The connection was made before this check: it names the login."""
    if examination.unreachable:
        yield examination.unreachable
        return
    user, name = examination.rows("SELECT current_user::text, current_database()::text")[0]
    yield ok(f"as {user}, database {name}")


def server_version(examination: Examination) -> Iterator[Finding]:
    number, text = examination.rows(
        "SELECT current_setting('server_version_num')::int, current_setting('server_version')"
    )[0]
    if number < OLDEST_SERVER:
        yield problem(f"PostgreSQL {text}", "15 or newer is needed: upgrade the project in Supabase's dashboard.")
    else:
        yield ok(f"PostgreSQL {text}")


def clock_skew(examination: Examination) -> Iterator[Finding]:
    before = datetime.now(UTC)
    (server_time,) = examination.rows("SELECT clock_timestamp()")[0]
    after = datetime.now(UTC)
    skew = max(before - server_time, server_time - after, timedelta(0))
    if skew > LARGEST_SKEW:
        fix = "Set this machine's clock by NTP. Runs use the database's clock."
        yield warning(f"the clocks of this machine and the database differ by {span(skew)}", fix)


def migrations(examination: Examination) -> Iterator[Finding]:
    pending = ledger.pending_migrations(examination.database)
    if pending:
        yield problem(f"{len(pending)} pending, from {pending[0]}", "`reminders migrate`.")


def lock(examination: Examination) -> Iterator[Finding]:
    running = ledger.running(examination.database)
    held = ledger.holder(examination.database)
    if held and running:
        yield ok(f"held by a running run, pid {held.pid}")
    elif held:
        yield problem(f"held by pid {held.pid} ({held.application_name}), but no run is running", "`reminders unlock`.")


def last_runs(examination: Examination) -> Iterator[Finding]:
    seen = ledger.overview(examination.database)
    if seen.last_success_at is None:
        yield warning("no run has ever succeeded", "`reminders run --dry-run`, then `reminders run`.")
    elif seen.consecutive_failures:
        fix = "`reminders logs --status failed`; the runbook's Troubleshooting."
        yield problem(f"{seen.consecutive_failures} failed in a row: {seen.last_error}", fix)
    else:
        yield ok(f"the last success was {span(seen.now - seen.last_success_at)} ago")
    if seen.undelivered:
        yield warning(f"{seen.undelivered} alerts are not delivered", "`reminders alert-test` names the channel.")
