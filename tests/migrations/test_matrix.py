"""Grants: every verb, as every role, on every object that the migrations make, against matrix.toml."""

from __future__ import annotations

import pytest

from reminders.database import Connection
from tests.migrations import matrix

EXPECTED = matrix.expected()


def test_every_object_is_in_the_matrix(superuser: Connection) -> None:
    """A new table, view, sequence or function fails here until someone has said who may do what to it."""
    missing = [name for name in matrix.objects(superuser) if name not in EXPECTED]
    sections = "\n\n".join(matrix.as_toml(name, matrix.actual(superuser, name)) for name in missing)
    assert not missing, f"Not in ops/schema/matrix.toml. As it is now:\n\n{sections}\n\nIs each line meant so?"


def test_matrix_names_nothing_that_is_gone(superuser: Connection) -> None:
    """A section of an object that no migration makes any more is removed with it."""
    assert [name for name in EXPECTED if name not in matrix.objects(superuser)] == []


@pytest.mark.parametrize("name", EXPECTED)
def test_each_role_can_do_what_the_matrix_says(superuser: Connection, name: str) -> None:
    """SELECT, INSERT, UPDATE by column, DELETE, TRUNCATE, EXECUTE: allowed where it says so, denied elsewhere."""
    found = matrix.actual(superuser, name)
    assert EXPECTED[name] == found, f"As it is now:\n\n{matrix.as_toml(name, found)}"


def test_every_table_has_row_level_security(superuser: Connection) -> None:
    """A grant that slips in shows nothing as long as no policy says which rows."""
    open_tables = superuser.execute(
        """
        SELECT relname FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND NOT relrowsecurity
        """
    ).fetchall()
    assert open_tables == []


def test_every_view_asks_with_the_readers_rights(superuser: Connection) -> None:
    """A view without security_invoker shows its owner's rows to everyone."""
    views = superuser.execute(
        """
        SELECT relname FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind = 'v'
            AND NOT coalesce('security_invoker=true' = ANY (reloptions), false)
        """
    ).fetchall()
    assert views == []


@pytest.mark.parametrize("role", matrix.ROLES[:-1])
def test_no_role_can_create_objects(superuser: Connection, role: str) -> None:
    """None of the roles makes tables or functions in public."""
    made = superuser.execute("SELECT has_schema_privilege(%s, 'public', 'CREATE')", [role]).fetchone()
    assert made == (False,)
