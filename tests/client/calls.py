"""The functions for admins: how the tests call them, and one possible call of each."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.rows import dict_row

from reminders.database import Connection
from tests.client.people import ADMIN_APP, ASSIGNMENT, ORG, UNCOORDINATED
from tests.contacts import as_user, one
from tests.tokens import ADMIN

ANOTHER = UUID(int=0xA5)
REASON = "Takes over the north district"
CALLS: dict[str, dict[str, Any]] = {
    "admin_set_coordinator": {"assignment_id": UNCOORDINATED, "coordinator_id": ANOTHER, "reason": REASON},
    "admin_close_assignment": {"assignment_id": ASSIGNMENT, "reason": REASON},
    "admin_set_thresholds": {"org_id": ORG, "reminder_days": 7, "escalation_days": 14, "expected_reminder_days": 10},
    "admin_set_activity_type": {"code": "letter", "counts": True},
}
ALL = {"role": "admin"}


def call(
    connection: Connection, function: str, user: UUID = ADMIN, app: Any = None, **arguments: Any
) -> dict[str, Any]:
    """The row that it answers with; by default as an admin of ORG alone."""
    named = ", ".join(f"{name} => %({name})s" for name in arguments)
    with as_user(connection, user, **(ADMIN_APP if app is None else app)), connection.cursor(row_factory=dict_row) as c:
        found = c.execute(f"SELECT * FROM {function}({named})".encode(), arguments).fetchone()
    assert found
    return found


def refusal(
    connection: Connection, function: str, *who: Any, **arguments: Any
) -> tuple[str | None, str | None, str | None]:
    """SQLSTATE, message and detail."""
    with pytest.raises(psycopg.DatabaseError) as caught:
        call(connection, function, *who, **arguments)
    return caught.value.sqlstate, caught.value.diag.message_primary, caught.value.diag.message_detail


def changes(owner: Connection) -> int:
    return int(one(owner, "SELECT count(*) FROM admin_changes"))
