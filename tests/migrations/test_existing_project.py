"""A Supabase project that has tables of these names keeps them as they are: columns, grants and policies."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from ops.local.database import apply_shim, create_database, drop_database
from ops.local.server import MIGRATOR, Server
from ops.migrations import migrate
from reminders.database import Connection

# As such a project might be: more columns, an enum, a uuid key, everything granted by Supabase's defaults,
# and its own idea of who sees what. The last table has no row level security and no grant at all.
THEIRS = """
CREATE TYPE activity_kind AS ENUM ('meeting', 'letter');
CREATE TABLE assignments (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    org_id uuid NOT NULL,
    peer_mentor_id uuid NOT NULL,
    coordinator_id uuid,
    status text NOT NULL DEFAULT 'open',
    assigned_at timestamptz NOT NULL DEFAULT now(),
    last_contact_date date,
    created_at timestamptz NOT NULL DEFAULT now(),
    contact_name text
);
ALTER TABLE assignments ENABLE ROW LEVEL SECURITY;
CREATE POLICY "theirs alone" ON assignments FOR SELECT TO authenticated USING (contact_name = 'visible');
CREATE TABLE activities (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    assignment_id uuid NOT NULL REFERENCES assignments (id),
    activity_type activity_kind NOT NULL,
    recorded_date date NOT NULL,
    registered_by uuid,
    registration_path text NOT NULL DEFAULT 'direct',
    created_at timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE activities ENABLE ROW LEVEL SECURITY;
CREATE TABLE notifications (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    assignment_id uuid NOT NULL,
    recipient_id uuid NOT NULL,
    kind text NOT NULL,
    contact_anchor date NOT NULL,
    gap_days integer NOT NULL,
    run_id uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    read_at timestamptz,
    resolved_at timestamptz
);
REVOKE ALL ON notifications FROM anon, authenticated;
"""
ASSIGNMENT = uuid.UUID(int=1)
RIGHTS = """
    SELECT c.relname, acl.grantee::regrole::text, acl.privilege_type
    FROM pg_class AS c CROSS JOIN aclexplode(c.relacl) AS acl
    WHERE c.oid IN ('assignments'::regclass, 'activities'::regclass, 'notifications'::regclass)
        AND acl.grantee::regrole::text IN ('anon', 'authenticated', 'service_role')
    ORDER BY 1, 2, 3
"""


@pytest.fixture
def rights_before() -> list[Any]:
    return []


@pytest.fixture
def project(server: Server, rights_before: list[Any]) -> Iterator[Connection]:
    """Their database after our migrations, with one assignment; as `postgres`."""
    name = create_database(server, f"test_{uuid.uuid4().hex[:12]}")
    try:
        apply_shim(server, name)
        with psycopg.connect(server.dsn(MIGRATOR, name), autocommit=True) as connection:
            connection.execute(THEIRS)
            rights_before += connection.execute(RIGHTS).fetchall()
            migrate(server.dsn(MIGRATOR, name))
            connection.execute(
                "INSERT INTO assignments (id, org_id, peer_mentor_id, assigned_at) VALUES (%s, %s, %s, '2025-01-01')",
                [ASSIGNMENT, ASSIGNMENT, ASSIGNMENT],
            )
            yield connection
    finally:
        drop_database(server, name)


def as_user(connection: Connection, statement: str, **app_metadata: Any) -> list[Any]:
    claims = {"sub": str(ASSIGNMENT), "role": "authenticated", "app_metadata": app_metadata}
    with connection.transaction():
        connection.execute("SELECT set_config('request.jwt.claims', %s, true)", [json.dumps(claims)])
        connection.execute("SET LOCAL ROLE authenticated")
        return connection.execute(statement.encode()).fetchall()


def test_their_grants_stay(project: Connection, rights_before: list[Any]) -> None:
    """No right of Supabase's roles on their tables is given or taken."""
    assert rights_before == project.execute(RIGHTS).fetchall()


def test_their_users_see_no_more_than_before(project: Connection) -> None:
    """Our mentors' policy would widen theirs, so it is not made: the mentor of the assignment sees nothing."""
    assert as_user(project, "SELECT id FROM assignments") == []


def test_table_without_row_level_security_stays_closed(project: Connection) -> None:
    """Where nothing protects the rows, a grant of ours would show them to everyone."""
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        as_user(project, "SELECT id FROM notifications")


def test_contact_is_logged_there_as_well(project: Connection) -> None:
    """An enum for the type and a uuid for the key make no difference to the hook."""
    project.execute(
        "INSERT INTO activities (assignment_id, activity_type, recorded_date) VALUES (%s, 'meeting', '2025-02-01')",
        [ASSIGNMENT],
    )
    row = project.execute("SELECT last_contact_date::text FROM assignments").fetchone()
    assert row == ("2025-02-01",)


def test_no_policy_of_ours_is_added_for_their_users(project: Connection) -> None:
    """A permissive policy would be ORed into each of their queries, which then cannot use their index."""
    policies = project.execute(
        """
        SELECT p.polname FROM pg_policy AS p
        WHERE p.polrelid IN ('assignments'::regclass, 'activities'::regclass, 'notifications'::regclass)
            AND p.polroles && ARRAY[0::oid, 'anon'::regrole, 'authenticated'::regrole]
        """
    ).fetchall()
    assert [("theirs alone",)] == policies


def test_admin_of_another_organisation_corrects_nothing_there(project: Connection) -> None:
    """The functions ask for the organisation themselves, and not for what the app's policies show."""
    statement = f"""
        INSERT INTO contact_date_corrections (assignment_id, new_date, reason)
        VALUES ('{ASSIGNMENT}', '2025-03-01', 'met in March')
    """
    project.execute("UPDATE assignments SET contact_name = 'visible'")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        as_user(project, statement, role="admin", org_ids=[str(uuid.UUID(int=2))])


def test_admin_corrects_there_as_well(project: Connection) -> None:
    """It needs no policy on the app's tables: the functions of reminder_admin answer an admin."""
    statement = f"""
        INSERT INTO contact_date_corrections (assignment_id, new_date, reason)
        VALUES ('{ASSIGNMENT}', '2025-03-01', 'met in March') RETURNING new_date::text
    """
    assert as_user(project, statement, role="admin") == [("2025-03-01",)]
