"""
The attack matrix: what someone who has the password of one of our roles can change, and what not.

Everything is found in the catalog: each table, each column, each function and each other role is tried. What changed
must be what ops/schema/matrix.toml lets that role change.
"""

from __future__ import annotations

from contextlib import suppress

import psycopg
import pytest
from psycopg import sql

from ops.local.server import Server
from ops.schema import OUR_ROLES, expected
from reminders.database import Connection
from reminders.runs.lock import LOCK_KEY
from tests.helpers.cases import table
from tests.helpers.connections import AsRole, connect_as
from tests.migrations import attacks
from tests.migrations.matrix import full_name, objects

# What a function does to which table, that a role may call.
BY_FUNCTION = {
    "prune_runs": {"cron_execution_logs": {"DELETE"}},
    "reminder_private.compose_messages": {
        "messages": {"INSERT", "UPDATE"},
        "message_items": {"INSERT"},
        "message_rates": {"UPDATE"},
    },
    "reminder_private.claim_messages": {
        "messages": {"UPDATE"},
        "message_items": {"DELETE"},
        "message_rates": {"UPDATE"},
    },
    "reminder_private.load_messages": {"messages": {"UPDATE"}, "message_items": {"DELETE"}},
    "reminder_private.settle_messages": {"messages": {"UPDATE"}, "email_suppressions": {"INSERT"}},
    "reminder_private.record_devices": {"devices": {"UPDATE"}},
    "reminder_private.record_email_feedback": {"messages": {"UPDATE"}, "email_suppressions": {"INSERT"}},
    "reminder_private.disable_endpoint": {"devices": {"UPDATE"}},
    "reminder_private.unsubscribe": {"recipient_settings": {"INSERT", "UPDATE"}},
    "reminder_private.prune_messages": {
        "messages": {"DELETE"},
        "message_items": {"DELETE"},
        "message_rates": {"UPDATE"},
    },
}
# Roles that a login of ours may become.
BECOMES = {"contact_admin_api": {"authenticated"}}


def tables(connection: Connection) -> list[str]:
    return [name.partition(".")[2] for name in objects(connection) if name.startswith("tables.")]


def contents(superuser: Connection) -> dict[str, set[str]]:
    """The rows of each table as text; what PostgreSQL keeps of roles, policies, triggers and functions as well."""
    sources = {name: ".".join(full_name(name)) for name in tables(superuser)}
    sources |= {name: name for name in ("pg_authid", "pg_auth_members", "pg_policy", "pg_trigger")}
    sources["pg_proc"] = f"(SELECT * FROM pg_proc AS p WHERE {attacks.OURS})"
    return {name: rows_of(superuser, source) for name, source in sources.items()}


def rows_of(superuser: Connection, source: str) -> set[str]:
    return {row[0] for row in superuser.execute(f"SELECT t::text FROM {source} AS t".encode()).fetchall()}


def may(role: str, verbs: set[str]) -> set[str]:
    """The tables on which the matrix gives `role` one of `verbs`, itself or by a function that it may call."""
    found: set[str] = set()
    for key, rights in expected().items():
        kind, _, name = key.partition(".")
        granted = rights.get(role, {}).keys()
        if kind == "tables" and granted & verbs:
            found.add(name)
        elif "EXECUTE" in granted:
            found |= {table for table, its in BY_FUNCTION.get(name, {}).items() if its & verbs}
    return found


def attempt(connection: Connection, statement: sql.Composed) -> None:
    with suppress(psycopg.Error):
        connection.execute(statement)


@pytest.mark.parametrize("role", OUR_ROLES)
def test_no_row_changes_that_the_matrix_keeps_from_the_role(
    filled: Connection, server: Server, database: str, role: str
) -> None:
    """Every write on every table and column, and every function with hostile arguments, really committed."""
    before = contents(filled)
    with connect_as(server, database, role) as connection:
        for name in tables(filled):
            identifier = sql.Identifier(*full_name(name))
            columns = filled.execute(
                "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0",
                [".".join(full_name(name))],
            ).fetchall()
            for (column,) in columns:
                attempt(connection, sql.SQL("UPDATE {} SET {} = DEFAULT").format(identifier, sql.Identifier(column)))
            for verb in (
                "INSERT INTO {} DEFAULT VALUES",
                "DELETE FROM {}",
                "TRUNCATE {} CASCADE",
                "DROP TABLE {} CASCADE",
            ):
                attempt(connection, sql.SQL(verb).format(identifier))
            for change in ("DISABLE ROW LEVEL SECURITY", "DISABLE TRIGGER ALL", f"OWNER TO {role}"):
                attempt(connection, sql.SQL("ALTER TABLE {} ").format(identifier) + sql.SQL(change))
        attacks.call_all(filled, connection)
    after = contents(filled)
    assert {name for name in before if before[name] - after[name]} <= may(role, {"UPDATE", "DELETE", "TRUNCATE"})
    assert {name for name in before if after[name] - before[name]} <= may(role, {"UPDATE", "INSERT"})


@table("role", OUR_ROLES)
def test_it_becomes_no_other_role(filled: Connection, as_role: AsRole, role: str) -> None:
    """SET ROLE to any other role of the server is refused; only the admin function's login becomes a caller."""
    connection = as_role(role)
    others = filled.execute("SELECT rolname FROM pg_roles WHERE rolname <> %s", [role]).fetchall()
    became = set()
    for (other,) in others:
        with suppress(psycopg.errors.InsufficientPrivilege):
            connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(other)))
            became.add(other)
            connection.execute("RESET ROLE")
    assert BECOMES.get(role, set()) == became


# Things that only an owner, a superuser or a member of PostgreSQL's own roles may do.
FORBIDDEN = [
    "CREATE TABLE public.x ()",
    "CREATE FUNCTION public.x() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE SCHEMA x",
    "CREATE ROLE x",
    "CREATE DATABASE x",
    "CREATE EXTENSION dblink",
    "CREATE OR REPLACE FUNCTION public.admin_scope() RETURNS jsonb LANGUAGE sql AS 'SELECT NULL::jsonb'",
    "ALTER ROLE {role} CONNECTION LIMIT -1",
    "ALTER ROLE {role} BYPASSRLS",
    "ALTER ROLE postgres PASSWORD 'x'",
    "GRANT service_role TO {role}",
    "SELECT * FROM pg_authid",
    "SELECT pg_read_file('postgresql.conf')",
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename <> current_user",
    "COPY (SELECT 1) TO PROGRAM 'true'",
    "SET session_replication_role = replica",
    "SET SESSION AUTHORIZATION postgres",
    "ALTER SYSTEM SET log_statement = 'all'",
    "SELECT * FROM supabase_migrations.schema_migrations",
    "DO $$ BEGIN LOCK TABLE public.assignments IN EXCLUSIVE MODE; END $$",
    "DO $$ BEGIN LOCK TABLE public.cron_alerts IN ACCESS EXCLUSIVE MODE; END $$",
]


@table("role", OUR_ROLES)
def test_it_does_nothing_that_owners_do(owner: Connection, as_role: AsRole, role: str) -> None:
    """Every statement of the list is refused for want of a privilege; `owner` is a session that stays alive."""
    connection = as_role(role)
    allowed = []
    for statement in FORBIDDEN:
        try:
            connection.execute(statement.replace("{role}", role).encode())
            allowed.append(statement)
        except psycopg.errors.InsufficientPrivilege:
            pass
    assert [] == allowed
    assert (1,) == owner.execute("SELECT 1").fetchone()


# What a leaked password does allow: (role, a statement in a transaction that is rolled back).
REMAINS = {
    "hold the run lock": ("reminder_scheduler", f"SELECT 1 / pg_try_advisory_lock({LOCK_KEY})::int"),
    "change its own password": ("reminder_scheduler", "ALTER ROLE CURRENT_USER PASSWORD 'another'"),
    "change its own settings": ("cron_runner", "ALTER ROLE CURRENT_USER SET statement_timeout = 1"),
    "notify anybody": (
        "reminder_scheduler",
        "INSERT INTO public.notifications (assignment_id, recipient_id, kind, contact_anchor, gap_days)"
        " SELECT id, gen_random_uuid(), 'reminder', '2020-01-01', 0 FROM public.assignments",
    ),
    "be an admin": (
        "contact_admin_api",
        'SELECT set_config(\'request.jwt.claims\', \'{"app_metadata": {"role": "admin"}}\', true);'
        "SET LOCAL ROLE authenticated; SELECT 1 / count(*) FROM public.assignments",
    ),
}


@table("what", REMAINS)
def test_what_remains(filled: Connection, as_role: AsRole, what: str) -> None:
    """docs/reliability.md says what a leaked password allows, and this shows that it is still true."""
    role, statement = REMAINS[what]
    connection = as_role(role)
    with connection.transaction(force_rollback=True):
        connection.execute(statement.encode())
