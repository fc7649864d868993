"""
Every named query, planned on the migrated schema under the role that runs it.

A query that a migration broke, or that its role may not run, fails here and not at 06:00.
"""

from __future__ import annotations

from pathlib import Path

import reminders
from ops.cli import ledger as operator
from reminders.database import Connection, Queries
from tests.helpers.cases import table
from tests.helpers.connections import AsRole
from tests.integration.query_values import VALUES

PACKAGES = Path(str(reminders.__file__)).parent
# Who runs the queries of a file.
ROLES = {
    "alerts/outbox.sql": "cron_runner",
    "console/console.sql": "authenticated",
    "contacts/correction.sql": "authenticated",
    "messages/backlog.sql": "cron_runner",
    "messages/courier.sql": "reminder_courier",
    "messages/feedback.sql": "message_feedback",
    "runs/history.sql": "authenticated",
    "runs/ledger.sql": "cron_runner",
    "runs/lock.sql": "cron_runner",
    "runs/watchdog.sql": "cron_runner",
    "scheduling/fanout.sql": "cron_runner",
    "scheduling/scheduling.sql": "reminder_scheduler",
}


def load(file: str) -> Queries:
    package, name = file.split("/")
    return Queries(f"reminders.{package}", name)


@table("file", ROLES)
def test_named_queries(as_role: AsRole, file: str) -> None:
    """Each can be planned, with the rights that its role has, whatever search_path the session was given."""
    connection = as_role(ROLES[file])
    connection.execute("SET search_path = pg_catalog")
    for name, query in load(file).by_name.items():
        assert connection.execute(b"EXPLAIN " + query, VALUES).fetchall(), name


@table("name", operator.queries.by_name)
def test_operators_query(owner: Connection, name: str) -> None:
    """What `reminders status` and its like ask can be planned under any search_path as well."""
    owner.execute("SET search_path = pg_catalog")
    assert owner.execute(b"EXPLAIN " + operator.queries.by_name[name], VALUES).fetchall()


def test_all_files_of_these_packages_are_here() -> None:
    """A new file of queries in these packages must be added above."""
    files = {
        str(path.relative_to(PACKAGES))
        for package in ("alerts", "console", "contacts", "messages", "runs", "scheduling")
        for path in (PACKAGES / package).glob("*.sql")
    }
    assert set(ROLES) == files


def test_every_query_has_its_reason() -> None:
    """A comment under the name says why the query is as it is; two that only mark a row need none."""
    bare = {name for file in ROLES for name, text in load(file).by_name.items() if b"--" not in text}
    assert bare <= {"mark_delivered", "mark_failed"}
