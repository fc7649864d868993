"""my_reminder_settings(): the thresholds of the organisations of the caller."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from reminders.database import Connection
from tests.client.calls import ALL
from tests.client.people import ADMIN_APP, COORDINATOR, MENTOR, ORG, OTHER_ORG
from tests.contacts import as_user
from tests.helpers.cases import table
from tests.tokens import ADMIN


@pytest.fixture
def thresholds(filled: Connection) -> Connection:
    """One of the organisations has its own."""
    filled.execute("INSERT INTO org_settings VALUES (%s, 7, 14)", [ORG])
    return filled


@table(
    ("user", "app", "expected"),
    [
        (MENTOR, {}, {ORG: (7, 14)}),
        (COORDINATOR, {}, {ORG: (7, 14)}),
        (UUID(int=0xB2), {}, {OTHER_ORG: (10, 20)}),
        (UUID(int=0xC), {}, {}),
        (ADMIN, ADMIN_APP, {ORG: (7, 14)}),
        (ADMIN, {"role": "admin", "org_ids": [str(UUID(int=0xE))]}, {UUID(int=0xE): (10, 20)}),
        (ADMIN, {"role": "admin", "org_ids": ["no id", None, 7]}, {}),
        (ADMIN, ALL, {ORG: (7, 14), OTHER_ORG: (10, 20)}),
    ],
    ids=["mentor", "coordinator", "defaults", "unrelated", "admin", "new organisation", "malformed", "admin of all"],
)
def test_thresholds_of_ones_own_organisations(
    thresholds: Connection, user: UUID, app: dict[str, Any], expected: dict[UUID, tuple[int, int]]
) -> None:
    """Those of open assignments, and those that an admin's claims name; without a row 10 and 20."""
    query = "SELECT org_id, reminder_days, escalation_days FROM my_reminder_settings()"
    with as_user(thresholds, user, **app):
        rows = thresholds.execute(query).fetchall()
    assert expected == {org: (reminder, escalation) for org, reminder, escalation in rows}


def test_thresholds_after_the_last_assignment_was_closed(filled: Connection) -> None:
    """A mentor who has left the organisation no longer sees its thresholds."""
    filled.execute("UPDATE assignments SET status = 'closed' WHERE org_id = %s", [ORG])
    with as_user(filled, MENTOR):
        assert [] == filled.execute("SELECT * FROM my_reminder_settings()").fetchall()
