"""Names are not believed: an index or a role of our name that is not what it must be is refused, with the repair."""

from __future__ import annotations

import psycopg
import pytest

from ops.schema import MESSAGE_ROLES, OUR_ROLES
from reminders.database import Connection
from tests.helpers.cases import first, table
from tests.migrations.again import migrate_again

PEOPLE = "(assignment_id, kind, contact_anchor)"
# What was done to an index of our name, and the name.
WRONG_INDEXES = {
    "not unique": f"CREATE INDEX notifications_once_per_gap ON notifications {PEOPLE}",
    "partial": f"CREATE UNIQUE INDEX notifications_once_per_gap ON notifications {PEOPLE} WHERE read_at IS NULL",
    "columns in another order": "CREATE UNIQUE INDEX notifications_once_per_gap "
    "ON notifications (kind, assignment_id, contact_anchor)",
    "a column less": "CREATE UNIQUE INDEX notifications_once_per_gap ON notifications (assignment_id, kind)",
    "a column more": f"CREATE UNIQUE INDEX notifications_once_per_gap ON notifications {PEOPLE} INCLUDE (run_id)",
    "of an expression": "CREATE UNIQUE INDEX notifications_once_per_gap "
    "ON notifications (assignment_id, lower(kind), contact_anchor)",
    "on another table": "CREATE TABLE other (LIKE notifications); "
    f"CREATE UNIQUE INDEX notifications_once_per_gap ON other {PEOPLE}",
    "deferrable": f"ALTER TABLE notifications ADD CONSTRAINT notifications_once_per_gap UNIQUE {PEOPLE} DEFERRABLE",
    "no index at all": "CREATE TABLE notifications_once_per_gap ()",
    "open assignments: not partial": "CREATE INDEX assignments_open_idx ON assignments (id)",
    "open assignments: of another column": "CREATE INDEX assignments_open_idx ON assignments (org_id) "
    "WHERE status = 'open'",
    "open assignments: by another condition": "CREATE INDEX assignments_open_idx ON assignments (id) "
    "WHERE org_id IS NOT NULL",
    "recipients: another column": "CREATE INDEX notifications_recipient_idx ON notifications (created_at)",
    "mentors: partial": "CREATE INDEX assignments_peer_mentor_id_idx ON assignments (peer_mentor_id) "
    "WHERE status = 'open'",
}
OF_OURS = (
    "notifications_once_per_gap",
    "assignments_open_idx",
    "notifications_recipient_idx",
    "assignments_peer_mentor_id_idx",
    "assignments_coordinator_id_idx",
)


@table("made", WRONG_INDEXES.values(), ids=list(WRONG_INDEXES))
def test_index_of_our_name_that_is_another(owner: Connection, made: str) -> None:
    """It is named, with what it is, what is needed, and the SQL of the repair; nothing is changed."""
    name = next(name for name in OF_OURS if name in made)
    with owner.transaction(force_rollback=True):
        owner.execute(f"DROP INDEX {name}; {made}".encode())
        with pytest.raises(psycopg.errors.RaiseException) as refused:
            migrate_again(owner, "indexes")
    diag = refused.value.diag
    assert f"{name} is not the index that the reminders need" == diag.message_primary
    assert f"DROP INDEX public.{name}; CREATE " in (diag.message_hint or "")


def test_index_that_is_invalid(owner: Connection, superuser: Connection) -> None:
    """What a CREATE INDEX CONCURRENTLY that failed leaves behind is refused, and the repair in the hint works."""
    superuser.execute(
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'notifications_once_per_gap'::regclass"
    )
    with pytest.raises(psycopg.errors.RaiseException) as refused:
        migrate_again(owner, "indexes")
    assert ", invalid. It is needed" in (refused.value.diag.message_detail or "")
    repair = (refused.value.diag.message_hint or "").partition("; and")[0]
    for statement in repair.split("; "):
        owner.execute(statement.encode())
    migrate_again(owner, "indexes")


def test_index_of_the_apps_own_serves_as_well(owner: Connection) -> None:
    """Where the app has an index that begins with the same column, a second one would only cost."""
    owner.execute(
        """
        DROP INDEX assignments_peer_mentor_id_idx;
        CREATE INDEX theirs ON assignments (peer_mentor_id, status)
        """
    )
    migrate_again(owner, "indexes")
    assert owner.execute("SELECT to_regclass('assignments_peer_mentor_id_idx')").fetchone() == (None,)


WRONG_ROLES = {
    "SUPERUSER": ("ALTER ROLE {0} SUPERUSER", "ALTER ROLE {0} NOSUPERUSER"),
    "BYPASSRLS": ("ALTER ROLE {0} BYPASSRLS", "ALTER ROLE {0} NOBYPASSRLS"),
    "CREATEROLE": ("ALTER ROLE {0} CREATEROLE", "ALTER ROLE {0} NOCREATEROLE"),
    "CREATEDB": ("ALTER ROLE {0} CREATEDB", "ALTER ROLE {0} NOCREATEDB"),
    "REPLICATION": ("ALTER ROLE {0} REPLICATION", "ALTER ROLE {0} NOREPLICATION"),
    "a member of": ("GRANT service_role TO {0}", "REVOKE service_role FROM {0}"),
    "owns": ("CREATE TABLE theirs (); ALTER TABLE theirs OWNER TO {0}", "DROP TABLE theirs"),
}


@pytest.mark.parametrize("role", first(1, OUR_ROLES))
@table("fault", WRONG_ROLES)
def test_role_of_our_name_that_may_more(owner: Connection, superuser: Connection, fault: str, role: str) -> None:
    """It is named with what is wrong and with the SQL of the repair."""
    migration = "message_roles" if role in MESSAGE_ROLES else "roles_are_checked"
    breaks, repairs = (statement.format(role).encode() for statement in WRONG_ROLES[fault])
    superuser.execute(breaks)
    try:
        with pytest.raises(psycopg.errors.RaiseException, match=rf"the role {role} .*{fault}") as refused:
            migrate_again(owner, migration)
        assert role in (refused.value.diag.message_hint or "")
    finally:
        superuser.execute(repairs)
    migrate_again(owner, migration)
