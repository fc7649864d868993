"""
Every named query, planned on the migrated schema under the role that runs it.

A query that a migration broke, or that its role may not run, fails here and not at 06:00.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

import reminders
from reminders.database import Queries
from tests.conftest import AsRole
from tests.factories import TICK, TODAY

ROOMS = Path(str(reminders.__file__)).parent
# Who runs the queries of a file. Rooms that are not here have their own tests.
ROLES = {
    "runs/ledger.sql": "cron_runner",
    "runs/lock.sql": "cron_runner",
    "scheduling/scheduling.sql": "reminder_scheduler",
}
VALUES: dict[str, Any] = {
    "abandoned": False,
    "as_of": TODAY,
    "assignments_evaluated": 1,
    "assignments_failed": 1,
    "error_message": "it broke",
    "event_id": "e-1",
    "first": UUID(int=0),
    "http_status": 503,
    "job_name": "assignment-reminder-cron",
    "key": 1,
    "last": UUID(int=1),
    "lease_ms": "1000",
    "note": "a note",
    "plan_limit": 10,
    "reminders_dispatched": 1,
    "run_id": UUID(int=1),
    "scheduled_for": TICK,
    "size": 10,
    "status": "failed",
    "trigger_source": "schedule",
}


def load(file: str) -> Queries:
    room, name = file.split("/")
    return Queries(f"reminders.{room}", name)


def named_queries() -> list[tuple[str, str]]:
    return [(file, name) for file in ROLES for name in load(file).by_name]


@pytest.mark.parametrize(("file", "name"), named_queries(), ids=lambda part: part.removesuffix(".sql"))
def test_named_query(as_role: AsRole, file: str, name: str) -> None:
    """It can be planned, with the rights that its role has."""
    connection = as_role(ROLES[file])
    assert connection.execute(b"EXPLAIN " + load(file).by_name[name], VALUES).fetchall()


def test_all_files_of_these_rooms_are_here() -> None:
    """A new file of queries in runs or scheduling must be added above."""
    files = {str(path.relative_to(ROOMS)) for room in ("runs", "scheduling") for path in (ROOMS / room).glob("*.sql")}
    assert set(ROLES) == files


@pytest.mark.parametrize("file", ROLES)
def test_every_query_has_its_reason(file: str) -> None:
    """A comment under the name says why the query is as it is."""
    for name, text in load(file).by_name.items():
        assert b"--" in text, name
