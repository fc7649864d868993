"""What a session of each of our roles starts with, and how many sessions there may be."""

from __future__ import annotations

from contextlib import ExitStack

import psycopg
import pytest

from ops.local.server import Server
from ops.schema import OUR_ROLES
from reminders.database import Connection
from tests.database_settings import HOSTILE
from tests.helpers.connections import AsRole
from tests.migrations.again import migrate_again

LARGEST_SHARDS = 64
LONGEST_LEASE = "15 minutes 10 seconds"


def there(owner: Connection) -> list[str]:
    """Those settings that this version of PostgreSQL has."""
    names = {row[0] for row in owner.execute("SELECT name FROM pg_settings").fetchall()}
    return [name for name in HOSTILE if name in names]


def test_what_the_database_sets_does_not_reach_our_roles(
    owner: Connection, superuser: Connection, as_role: AsRole, database: str
) -> None:
    """Each setting that the code depends on is the role's own, so that ALTER DATABASE changes none of them."""
    names = there(owner)
    query = "SELECT name, setting FROM pg_settings WHERE name = ANY(%s) ORDER BY name"
    before = {role: as_role(role).execute(query, [names]).fetchall() for role in OUR_ROLES}
    for name in names:
        superuser.execute(f"ALTER DATABASE {database} SET {name} = {HOSTILE[name]}".encode())
    after = {role: as_role(role).execute(query, [names]).fetchall() for role in OUR_ROLES}
    assert before == after
    assert dict.fromkeys(OUR_ROLES, len(names)) == {role: len(settings) for role, settings in after.items()}


def test_every_setting_that_is_pinned_is_tried(owner: Connection) -> None:
    """A setting that a migration pins has a hostile value above, and each of the roles has the same ones."""
    rows = owner.execute(
        """
        SELECT r.rolname, array_agg(split_part(c, '=', 1))
        FROM pg_db_role_setting AS s JOIN pg_roles AS r ON r.oid = s.setrole, unnest(s.setconfig) AS c
        WHERE r.rolname = ANY(%s) AND s.setdatabase = 0 GROUP BY 1
        """,
        [list(OUR_ROLES)],
    ).fetchall()
    assert {role: sorted(there(owner)) for role in OUR_ROLES} == {role: sorted(names) for role, names in rows}


def test_migration_that_is_repeated_changes_nothing(owner: Connection) -> None:
    """Roles belong to the server: a second database's migration finds all as it should be and writes nothing."""
    query = "SELECT array_agg(xmin::text ORDER BY setrole) FROM pg_db_role_setting"
    before = owner.execute(query).fetchone()
    for name in ("role_defaults", "message_roles"):
        migrate_again(owner, name)
    assert before == owner.execute(query).fetchone()


def test_limits_leave_enough_connections(owner: Connection) -> None:
    """Connections for as many shards as the settings allow; a lease of the run lock is shorter than the idle limit."""
    rows = owner.execute("SELECT rolname, rolconnlimit FROM pg_roles WHERE rolname = ANY(%s)", [list(OUR_ROLES)])
    limits = {str(name): int(limit) for name, limit in rows}
    assert min(limits.values()) > 0
    assert limits["reminder_scheduler"] >= LARGEST_SHARDS
    idle = owner.execute(
        """
        SELECT split_part(c, '=', 2)::interval > %s::interval
        FROM pg_db_role_setting AS s, unnest(s.setconfig) AS c
        WHERE s.setrole = 'cron_runner'::regrole AND c LIKE 'idle_in_transaction%%'
        """,
        [LONGEST_LEASE],
    )
    assert (True,) == idle.fetchone()


def test_one_login_cannot_take_all_connections(server: Server, database: str, superuser: Connection) -> None:
    """A login that opens as many connections as it can leaves connections for the other roles."""
    (limit,) = superuser.execute(
        "SELECT rolconnlimit FROM pg_roles WHERE rolname = 'contact_admin_api'"
    ).fetchone() or (0,)
    with ExitStack() as stack:
        for _ in range(limit):
            stack.enter_context(psycopg.connect(server.dsn("contact_admin_api", database)))
        with pytest.raises(psycopg.OperationalError, match="too many connections for role"):
            psycopg.connect(server.dsn("contact_admin_api", database))
        with psycopg.connect(server.dsn("cron_runner", database)) as other:
            assert (1,) == other.execute("SELECT 1").fetchone()
