"""Grants: every verb, as every role, on every object that the migrations make, against matrix.toml."""

from __future__ import annotations

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


def test_each_role_can_do_what_the_matrix_says(superuser: Connection) -> None:
    """SELECT, INSERT, UPDATE by column, DELETE, TRUNCATE, EXECUTE: allowed where it says so, denied elsewhere."""
    found = {name: matrix.actual(superuser, name) for name in EXPECTED}
    wrong = [matrix.as_toml(name, found[name]) for name in EXPECTED if EXPECTED[name] != found[name]]
    assert not wrong, "As it is now:\n\n" + "\n\n".join(wrong)


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


def test_no_role_can_create_objects(superuser: Connection) -> None:
    """None of the roles makes tables or functions in public."""
    right = "SELECT has_schema_privilege(%s, 'public', 'CREATE')"
    assert [] == [role for role in matrix.ROLES[:-1] if superuser.execute(right, [role]).fetchone() != (False,)]
