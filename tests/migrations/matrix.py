"""
The matrix (ops/schema/matrix.toml) and its other half: what PostgreSQL lets each role do, found out by trying.

Every verb is really executed, on no row, in a transaction that is rolled back; "permission denied" or not is
the answer. `Rights` of an object are `{role: {verb: True, or the columns in order}}`, without what is denied.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import errors, sql

from ops.schema import EVERY_ROLE, KINDS, MATRIX, ROLES, Rights, expected
from reminders.database import Connection

__all__ = ["MATRIX", "ROLES", "Rights", "actual", "as_toml", "expected", "objects"]


def objects(connection: Connection) -> list[str]:
    """Everything that someone could have a right on, named as in the matrix: outside of public with its schema."""
    rows = connection.execute(
        """
        SELECT relkind::text, CASE nspname WHEN 'public' THEN relname ELSE format('%s.%s', nspname, relname) END
        FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
        WHERE (nspname = 'public' OR nspname LIKE 'reminder_%') AND relkind IN ('r', 'p', 'v', 'm', 'S')
        UNION ALL
        SELECT 'f', CASE nspname WHEN 'public' THEN proname ELSE format('%s.%s', nspname, proname) END
        FROM pg_proc JOIN pg_namespace ON pg_namespace.oid = pronamespace
        WHERE nspname = 'public' OR nspname LIKE 'reminder_%'
        """
    ).fetchall()
    return sorted(f"{KINDS[kind]}.{name}" for kind, name in rows)


def actual(connection: Connection, name: str) -> Rights:
    """What each role can do with the object, tried; `connection` is a superuser's."""
    kind, _, plain = name.partition(".")
    attempts = {"sequences": _on_sequence, "functions": _on_function}.get(kind, _on_relation)
    found: Rights = {}
    for role in ROLES:
        rights = attempts(connection, role, plain)
        if rights:
            found[role] = rights
    return found


def as_toml(name: str, rights: Rights) -> str:
    """How `rights` stand in matrix.toml, to be copied from a failing test and thought about."""
    lines = [f"[{name}]"]
    for role, verbs in rights.items():
        listed = ", ".join(f"{verb} = {_toml(value)}" for verb, value in verbs.items())
        lines.append(f"{role} = {{ {listed} }}")
    return "\n".join(lines)


def _toml(value: Any) -> str:
    return '"*"' if value is True else "[" + ", ".join(f'"{column}"' for column in value) + "]"


def full_name(name: str) -> tuple[str, str]:
    """Schema and name; the matrix leaves `public` out."""
    schema, plain = f"public.{name}".split(".")[-2:]
    return schema, plain


def _on_relation(connection: Connection, role: str, name: str) -> dict[str, Any]:
    columns = _columns(connection, name)
    table = sql.Identifier(*full_name(name))
    whole = {
        "DELETE": sql.SQL("DELETE FROM {} WHERE false").format(table),
        "TRUNCATE": sql.SQL("TRUNCATE {}").format(table),
    }
    each = {
        "SELECT": "SELECT {column} FROM {table} WHERE false",
        "INSERT": "INSERT INTO {table} ({column}) OVERRIDING SYSTEM VALUE SELECT NULL::{type} WHERE false",
        "UPDATE": "UPDATE {table} SET {column} = DEFAULT WHERE false",
    }
    found: dict[str, Any] = {}
    with _as(connection, role):
        for verb, template in each.items():
            allowed = [
                column
                for column, kind in columns
                if _may(
                    connection,
                    sql.SQL(template).format(column=sql.Identifier(column), table=table, type=sql.SQL(kind)),
                )
            ]
            if allowed:
                found[verb] = True if len(allowed) == len(columns) else allowed
        found |= {verb: True for verb, statement in whole.items() if _may(connection, statement)}
    return found


def _on_sequence(connection: Connection, role: str, name: str) -> dict[str, Any]:
    sequence = sql.Literal(f"public.{name}")
    tries = {
        "SELECT": sql.SQL("SELECT last_value FROM {}").format(sql.Identifier("public", name)),
        "USAGE": sql.SQL("SELECT nextval({})").format(sequence),
        "UPDATE": sql.SQL("SELECT setval({}, 1)").format(sequence),
    }
    with _as(connection, role):
        return {verb: True for verb, statement in tries.items() if _may(connection, statement)}


def _on_function(connection: Connection, role: str, name: str) -> dict[str, Any]:
    schema, plain = full_name(name)
    types = connection.execute(
        """
        SELECT coalesce(array_agg(format_type(t, NULL) ORDER BY n) FILTER (WHERE t IS NOT NULL), '{}')
        FROM pg_proc LEFT JOIN unnest(proargtypes) WITH ORDINALITY AS u (t, n) ON true
        WHERE pronamespace = %s::regnamespace AND proname = %s
        GROUP BY pg_proc.oid
        """,
        [schema, plain],
    ).fetchall()
    assert len(types) == 1, f"{name} is overloaded: the matrix knows functions by name"
    arguments = sql.SQL(", ").join(sql.SQL(f"NULL::{kind}") for kind in types[0][0])
    call = sql.SQL("SELECT {}({})").format(sql.Identifier(schema, plain), arguments)
    with _as(connection, role):
        return (
            {"EXECUTE": True}
            if _may(connection, call, denied=rf"^permission denied for (function {plain}|schema {schema})$")
            else {}
        )


def _columns(connection: Connection, name: str) -> list[tuple[str, str]]:
    return connection.execute(
        """
        SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
        WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum
        """,
        [".".join(full_name(name))],
    ).fetchall()


@contextmanager
def _as(connection: Connection, role: str) -> Iterator[None]:
    """Be `role` in a transaction that leaves nothing behind."""
    with connection.transaction(force_rollback=True):
        if role == EVERY_ROLE:
            connection.execute("CREATE ROLE matrix_any_role; SET LOCAL ROLE matrix_any_role")
        else:
            connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(role)))
        yield


def _may(connection: Connection, statement: sql.Composed, denied: str = "") -> bool:
    """
    Whether the statement is let through; what else it fails on comes after the permission.

    `denied`: the messages (a pattern) that count, where a function that may be called can be denied something.
    """
    try:
        with connection.transaction(force_rollback=True):
            connection.execute(statement)
    except errors.InsufficientPrivilege as error:
        return not re.search(denied, error.diag.message_primary or "")
    except errors.WrongObjectType:
        return False  # there is no TRUNCATE of a view
    except (errors.ObjectNotInPrerequisiteState, errors.FeatureNotSupported) as error:
        # A view that takes no writes, or not of this column: PostgreSQL says so before it looks at the permission.
        return "view" not in (error.diag.message_primary or "")
    except psycopg.Error:
        return True
    return True
