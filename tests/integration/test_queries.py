"""
Every named query, planned on the migrated schema under the role that runs it.

A query that a migration broke, or that its role may not run, fails here and not at 06:00.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from psycopg.types.json import Jsonb

import reminders
from ops.cli import ledger as operator
from reminders.database import Connection, Queries
from tests.conftest import AsRole
from tests.factories import TICK, TODAY

ROOMS = Path(str(reminders.__file__)).parent
# Who runs the queries of a file.
ROLES = {
    "alerts/outbox.sql": "cron_runner",
    "console/console.sql": "authenticated",
    "contacts/correction.sql": "authenticated",
    "runs/history.sql": "authenticated",
    "runs/ledger.sql": "cron_runner",
    "runs/lock.sql": "cron_runner",
    "runs/watchdog.sql": "cron_runner",
    "scheduling/scheduling.sql": "reminder_scheduler",
}
VALUES: dict[str, Any] = {
    "abandoned": False,
    "after": TICK,
    "after_id": UUID(int=1),
    "after_since": TODAY,
    "alert_id": UUID(int=1),
    "as_of": TODAY,
    "assignments_evaluated": 1,
    "assignments_failed": 1,
    "assignments_without_recipient": 1,
    "since": None,
    "assignment_id": UUID(int=1),
    "at_most": 10,
    "before": UUID(int=1),
    "channel": "sns",
    "channels": ["sns"],
    "days": 400,
    "dedupe_key": "failure:1",
    "error": "it broke",
    "escalation_days": 20,
    "expected_escalation_days": 20,
    "expected_reminder_days": 10,
    "error_message": "it broke",
    "event_id": "e-1",
    "first": UUID(int=0),
    "http_status": 503,
    "job_name": "assignment-reminder-cron",
    "key": 1,
    "kind": "failure",
    "last": UUID(int=1),
    "lease_ms": "1000",
    "limit": 10,
    "new_date": TODAY,
    "note": "a note",
    "old_date": TODAY,
    "org_id": UUID(int=1),
    "org_ids": [UUID(int=1)],
    "pause": timedelta(minutes=1),
    "payload": Jsonb({}),
    "plan_limit": 10,
    "reason": "a slip of the pen",
    "reminder_days": 10,
    "reminders_dispatched": 1,
    "run_id": UUID(int=1),
    "scheduled_for": TICK,
    "size": 10,
    "status": "failed",
    "threshold": "reminder",
    "tick": TICK,
    "trigger_source": "schedule",
    "until_id": UUID(int=1),
    "until_since": TODAY,
}


def load(file: str) -> Queries:
    room, name = file.split("/")
    return Queries(f"reminders.{room}", name)


def named_queries() -> list[tuple[str, str]]:
    return [(file, name) for file in ROLES for name in load(file).by_name]


@pytest.mark.parametrize(("file", "name"), named_queries(), ids=lambda part: part.removesuffix(".sql"))
def test_named_query(as_role: AsRole, file: str, name: str) -> None:
    """It can be planned, with the rights that its role has, whatever search_path the session was given."""
    connection = as_role(ROLES[file])
    connection.execute("SET search_path = pg_catalog")
    assert connection.execute(b"EXPLAIN " + load(file).by_name[name], VALUES).fetchall()


@pytest.mark.parametrize("name", operator.queries.by_name)
def test_operators_query(owner: Connection, name: str) -> None:
    """What `reminders status` and its like ask can be planned under any search_path as well."""
    owner.execute("SET search_path = pg_catalog")
    assert owner.execute(b"EXPLAIN " + operator.queries.by_name[name], VALUES).fetchall()


def test_all_files_of_these_rooms_are_here() -> None:
    """A new file of queries in these rooms must be added above."""
    files = {
        str(path.relative_to(ROOMS))
        for room in ("alerts", "console", "contacts", "runs", "scheduling")
        for path in (ROOMS / room).glob("*.sql")
    }
    assert set(ROLES) == files


@pytest.mark.parametrize("file", ROLES)
def test_every_query_has_its_reason(file: str) -> None:
    """A comment under the name says why the query is as it is; two that only mark a row need none."""
    bare = {name for name, text in load(file).by_name.items() if b"--" not in text}
    assert bare <= {"mark_delivered", "mark_failed"}
