"""
What someone with a login tries, found in the catalog: every function with several arguments, every right on every
table, and traps in pg_temp for every name that our functions use.

A trap is an object that says, by a WARNING, as whom it was run. A warning is sent at once, whatever is rolled back.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from typing import LiteralString

import psycopg
from psycopg import sql

from reminders.database import Connection

# Who has, or may become through a login, a session of PostgreSQL's.
ACTORS = ("cron_runner", "reminder_scheduler", "contact_admin_api", "authenticated", "anon", "service_role")
# Functions p that are ours: in the tests' databases no one else makes any in these schemas.
OURS: LiteralString = "p.pronamespace::regnamespace::text ~ '^(public|reminder_.*)$'"
TRAP = "trap ran as"
BODY = "AS $$ BEGIN RETURN pg_temp.trap(); END $$"
# Of each type, what to call functions with, beside NULL.
VALUES = {
    "uuid": ("'00000000-0000-0000-0000-0000000000a1'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'"),
    "bigint": ("-2", "9223372036854775807"),
    "integer": ("30", "-2147483648"),
    "text": ("'open'", "E'\\'; DROP TABLE public.assignments; --'"),
    "date": ("'2026-01-01'", "'infinity'"),
    "timestamp with time zone": ("pg_catalog.now()", "'infinity'"),
    "interval": ("'1 day'", "'-1000 years'"),
    "boolean": ("true", "false"),
    "jsonb": ("""'{"role": "admin"}'""", "'[]'"),
    "tid[]": ("ARRAY['(0,1)', '(0,2)']", "'{}'"),
    "uuid[]": ("ARRAY['00000000-0000-0000-0000-0000000000a1']", "'{}'"),
    "text[]": ("ARRAY['sns']", "'{}'"),
}


def calls(superuser: Connection) -> Iterator[tuple[str, sql.Composed]]:
    """Every function of ours that can be called by SELECT, with each choice of arguments: its name and the call."""
    rows = superuser.execute(
        sql.SQL("""
        SELECT p.oid::regprocedure::text, p.pronamespace::regnamespace::text, p.proname, ARRAY(
            SELECT format_type(t, NULL) FROM unnest(p.proargtypes::oid []) WITH ORDINALITY AS u (t, n) ORDER BY n
        )
        FROM pg_proc AS p WHERE {} AND p.prorettype <> 'trigger'::regtype
        """).format(sql.SQL(OURS))
    ).fetchall()
    for full_name, schema, name, types in rows:
        for choice in range(3):
            values = [(*VALUES.get(kind, ()), "NULL", "NULL", "NULL")[choice] for kind in types]
            arguments = [_literal(f"{value}::{kind}") for value, kind in zip(values, types, strict=True)]
            call = sql.SQL("SELECT * FROM {}({})")
            yield full_name, call.format(sql.Identifier(schema, name), sql.SQL(", ").join(arguments))


def _literal(text: str) -> sql.SQL:
    value, _, kind = text.rpartition("::")
    return sql.SQL(f"CAST({value} AS {kind})")


def may_call(superuser: Connection, role: str) -> set[str]:
    """The definer functions, triggers left out, that `role` may execute by name."""
    query = sql.SQL(
        "SELECT p.oid::regprocedure::text FROM pg_proc AS p WHERE {} AND p.prosecdef"
        " AND p.prorettype <> 'trigger'::regtype AND has_function_privilege(%s, p.oid, 'EXECUTE')"
        " AND has_schema_privilege(%s, p.pronamespace, 'USAGE')"
    )
    return {row[0] for row in superuser.execute(query.format(sql.SQL(OURS)), [role, role]).fetchall()}


def call_all(superuser: Connection, connection: Connection) -> set[str]:
    """Call every function as the caller of `connection`; return those that began, whether or not they then refused."""
    began = set()
    for name, call in calls(superuser):
        try:
            connection.execute(call)
        except (psycopg.errors.UndefinedFunction, psycopg.errors.SyntaxError, psycopg.errors.DataError) as error:
            if error.diag.context is None:
                continue
        except psycopg.Error as error:
            if (error.diag.message_primary or "").startswith("permission denied for function"):
                continue
        began.add(name)
    return began


def lay_traps(superuser: Connection, connection: Connection, actor: str) -> None:
    """Make, as the caller of `connection`, a temporary object for every name in the bodies of our functions."""
    connection.execute(
        f"""
        CREATE FUNCTION pg_temp.trap() RETURNS pg_catalog.bool LANGUAGE plpgsql
        AS $$ BEGIN RAISE WARNING '{TRAP} %', current_user; RETURN true; END $$;
        GRANT EXECUTE ON FUNCTION pg_temp.trap() TO PUBLIC
        """.encode()
    )
    words, signs = _used(superuser)
    made = [kind for kind, statement in _traps(superuser, words, signs) if _made(connection, statement)]
    missing = {"function", "operator", "relation", "type"} - set(made)
    assert not missing, f"{actor} could make no trap of the kind {missing}"


def _used(superuser: Connection) -> tuple[list[str], list[str]]:
    bodies = superuser.execute(
        sql.SQL("SELECT pg_get_functiondef(p.oid) FROM pg_proc AS p WHERE {}").format(sql.SQL(OURS))
    )
    text = re.sub(r"--.*", "", "\n".join(row[0] for row in bodies))
    return sorted(set(re.findall(r"[a-z_][a-z0-9_]*", text))), sorted(set(re.findall(r"[-+*/<>=~!@#%^&|`?]+", text)))


def _traps(superuser: Connection, words: list[str], signs: list[str]) -> Iterator[tuple[str, str]]:
    types = """
        SELECT typname FROM pg_type
        WHERE typnamespace = 'pg_catalog'::regnamespace AND typtype = 'b' AND typname = ANY(%s)
    """
    short = ["bool", "int4", "int8", "timestamptz", "regclass"]
    for (name,) in superuser.execute(types.encode(), [words + short]).fetchall():
        yield "type", f'CREATE DOMAIN pg_temp."{name}" AS pg_catalog."{name}" CHECK (pg_temp.trap())'
    relations = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v')"
    for (name,) in superuser.execute(relations.encode()).fetchall():
        yield "relation", f'CREATE TEMP VIEW "{name}" AS SELECT (NULL::public."{name}").* WHERE pg_temp.trap()'
    functions = """
        SELECT DISTINCT p.proname, pg_get_function_identity_arguments(p.oid) FROM pg_proc AS p
        WHERE p.proname = ANY(%s) AND p.prokind IN ('f', 'a')
            AND p.pronamespace::regnamespace::text IN ('pg_catalog', 'public')
    """
    for name, arguments in superuser.execute(functions.encode(), [words]).fetchall():
        yield (
            "function",
            (
                f'CREATE FUNCTION pg_temp."{name}"({arguments}) RETURNS pg_catalog.bool LANGUAGE plpgsql '
                "AS $$ BEGIN RETURN pg_temp.trap(); END $$"
            ),
        )
    operators = """
        SELECT DISTINCT o.oprname, 'pg_catalog.' || l.typname, 'pg_catalog.' || r.typname
        FROM pg_operator AS o JOIN pg_type AS l ON l.oid = o.oprleft JOIN pg_type AS r ON r.oid = o.oprright
        WHERE o.oprname = ANY(%s) AND l.typname = ANY(%s) AND r.typname = ANY(%s)
            AND l.typtype = 'b' AND r.typtype = 'b'
    """
    known = words + short
    found = superuser.execute(operators.encode(), [signs, known, known]).fetchall()
    found = superuser.execute(operators.encode(), [signs, known, known]).fetchall()
    for number, (sign, left, right) in enumerate(found):
        function = f"pg_temp.operator_{number}"
        make = f"CREATE FUNCTION {function}({left}, {right}) RETURNS pg_catalog.bool LANGUAGE plpgsql {BODY}"
        yield (
            "operator",
            f"{make}; CREATE OPERATOR pg_temp.{sign} (LEFTARG = {left}, RIGHTARG = {right}, FUNCTION = {function})",
        )


def _made(connection: Connection, statement: str) -> bool:
    with suppress(psycopg.Error):
        connection.execute(statement.encode())
        return True
    return False
