"""
Functions that run with their owner's rights: nothing that the caller made may run in them.

PostgreSQL looks into pg_temp first for types and tables, unless search_path names it later, and everyone may make
temporary objects.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress

import psycopg
import pytest
from psycopg import sql

from ops.local.server import MIGRATOR, Server
from reminders.database import Connection
from tests.helpers.connections import connect_as
from tests.migrations import attacks
from tests.migrations.personas import ASSIGNMENT, MENTOR, claims

# What fires the triggers, as those who may: (claims, statement).
FIRES = (
    (claims(role="admin"), "INSERT INTO public.contact_date_corrections (assignment_id, old_date, new_date, reason) "
     f"VALUES ('{ASSIGNMENT['a']}', '2025-06-02', '2025-07-01', 'met in July')"),
    (claims(MENTOR["a"]), "INSERT INTO public.activities (assignment_id, activity_type, recorded_date, registered_by, "
     f"registration_path) VALUES ('{ASSIGNMENT['a']}', 'meeting', '2025-08-01', '{MENTOR['a']}', 'direct')"),
    (claims(), "INSERT INTO public.activities (assignment_id, activity_type, recorded_date) "
     f"VALUES ('{ASSIGNMENT['b']}', 'meeting', '2025-08-01')"),
    (claims(), "UPDATE public.assignments SET status = 'closed'"),
    (claims(), "UPDATE public.notifications SET read_at = pg_catalog.now()"),
)  # fmt: skip


def test_every_function_pins_its_search_path(superuser: Connection) -> None:
    """pg_catalog first and pg_temp last, in every function of ours: definer, trigger, or called in a policy."""
    others = superuser.execute(
        f"""
        SELECT p.oid::regprocedure::text, p.proconfig FROM pg_proc AS p
        WHERE {attacks.OURS} AND NOT coalesce('search_path=pg_catalog, pg_temp' = ANY (p.proconfig), false)
        """.encode()
    ).fetchall()
    assert [] == others


@pytest.mark.parametrize("actor", attacks.ACTORS)
def test_nothing_of_the_callers_runs_as_another(server: Server, database: str, filled: Connection, actor: str) -> None:
    """A temporary domain, view, function or operator of any name that our functions use never runs as their owner."""
    ran: list[str] = []
    with connect_as(server, database, actor) as connection:
        connection.add_notice_handler(lambda notice: ran.append(notice.message_primary or ""))
        connection.execute("SET client_min_messages = 'warning'")
        attacks.lay_traps(filled, connection, actor)
        connection.execute("SET search_path = pg_catalog, pg_temp")
        began = attacks.call_all(filled, connection)
        for its_claims, statement in FIRES:
            with suppress(psycopg.Error), connection.transaction(force_rollback=True):
                connection.execute(
                    "SELECT pg_catalog.set_config('request.jwt.claims', %s, true)", [json.dumps(its_claims)]
                )
                connection.execute(statement.encode())
    assert [] == [text for text in ran if text.startswith(attacks.TRAP) and not text.endswith(f" {actor}")]
    assert attacks.may_call(filled, actor) <= began


def test_trap_works_where_pg_temp_is_not_last(filled: Connection, server: Server, database: str) -> None:
    """The test above would notice: an empty search_path still finds pg_temp's types first."""
    with psycopg.connect(server.dsn(MIGRATOR, database), autocommit=True) as owner:
        owner.execute("ALTER FUNCTION reminder_admin.assignment(uuid) SET search_path = ''")
    ran: list[str] = []
    with connect_as(server, database, "authenticated") as connection:
        connection.add_notice_handler(lambda notice: ran.append(notice.message_primary or ""))
        attacks.lay_traps(filled, connection, "authenticated")
        its_claims = json.dumps(claims(role="admin"))
        connection.execute("SELECT pg_catalog.set_config('request.jwt.claims', %s, false)", [its_claims])
        connection.execute("SELECT * FROM reminder_admin.assignment(%s)", [ASSIGNMENT["a"]])
    assert f"{attacks.TRAP} {MIGRATOR}" in ran


def test_no_body_needs_a_setting_for_its_strings(superuser: Connection) -> None:
    """A backslash in a string means something else where standard_conforming_strings is off."""
    rows = superuser.execute(f"SELECT p.proname, p.prosrc FROM pg_proc AS p WHERE {attacks.OURS}".encode()).fetchall()
    assert [] == [name for name, body in rows if re.search(r"'[^']*\\", body)]


def test_only_the_roles_of_the_matrix_call_definer_functions(superuser: Connection) -> None:
    """PUBLIC has no EXECUTE on any function of ours: PostgreSQL would grant it by default."""
    rows = superuser.execute(
        sql.SQL(
            "SELECT p.oid::regprocedure::text FROM pg_proc AS p"
            " WHERE {} AND EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS a"
            " WHERE a.grantee = 0)"
        ).format(sql.SQL(attacks.OURS))
    ).fetchall()
    assert [] == rows
