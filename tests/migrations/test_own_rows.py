"""Among 100,000 assignments, a user's own rows are read by an index, even with policies for other roles."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from ops.local.server import Server
from ops.tools.bench import data
from reminders.database import Connection
from tests.helpers.cases import first
from tests.migrations.personas import claims

pytestmark = pytest.mark.matrix
ASSIGNMENTS = 100_000
PERSON = "(SELECT {column} FROM assignments WHERE {column} IS NOT NULL LIMIT 1)"


@pytest.fixture(scope="module")
def full(server: Server, module_database: str) -> Iterator[Connection]:
    """100,000 assignments with two notifications each; a superuser's connection."""
    with psycopg.connect(server.dsn(server.superuser, module_database), autocommit=True) as connection:
        data.fill(connection, ASSIGNMENTS, datetime.now(UTC).date())
        connection.execute(
            """
            INSERT INTO notifications (assignment_id, recipient_id, kind, contact_anchor, gap_days)
            SELECT id, peer_mentor_id, 'reminder', last_contact_date, 10 FROM assignments
            UNION ALL
            SELECT id, coordinator_id, 'escalation', last_contact_date, 20 FROM assignments
            """
        )
        connection.execute("ANALYZE")
        yield connection


def plan(connection: Connection, statement: str, its_claims: dict[str, Any]) -> str:
    """How PostgreSQL would answer `authenticated` with these claims."""
    with connection.transaction(force_rollback=True):
        connection.execute("SELECT set_config('request.jwt.claims', %s, true)", [json.dumps(its_claims, default=str)])
        connection.execute("SET LOCAL ROLE authenticated")
        return "\n".join(row[0] for row in connection.execute(f"EXPLAIN {statement}".encode()).fetchall())


def person(connection: Connection, column: str) -> Any:
    row = connection.execute(f"SELECT {column} FROM assignments LIMIT 1".encode()).fetchone()
    assert row
    return row[0]


@pytest.mark.parametrize("column", ["peer_mentor_id", "coordinator_id"])
@pytest.mark.parametrize(
    "statement",
    first(
        2,
        [
            "SELECT * FROM assignments",
            "SELECT * FROM activities WHERE assignment_id = '00000000-0000-0000-0000-000000000001'",
            "SELECT * FROM notifications ORDER BY created_at DESC LIMIT 20",
            "SELECT count(*) FROM notifications WHERE read_at IS NULL AND resolved_at IS NULL",
        ],
    ),
)
def test_people_read_their_own_by_an_index(full: Connection, column: str, statement: str) -> None:
    """Neither a mentor's nor a coordinator's read of their own reads everyone's rows."""
    found = plan(full, statement, claims(person(full, column)))
    assert "Seq Scan on assignments" not in found
    assert "Seq Scan on notifications" not in found


def test_admin_reads_an_organisation_by_an_index(full: Connection) -> None:
    """An admin of some organisations reads theirs only."""
    its_claims = claims(role="admin", org_ids=[str(person(full, "org_id"))])
    assert "Seq Scan on assignments" not in plan(full, "SELECT * FROM assignments", its_claims)
