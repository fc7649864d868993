"""Databases like Supabase's: roles, claims, the trap, and migrations as a plain `postgres`."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from ops.local import database
from ops.local.postgres import SUPERUSER, Postgres
from ops.local.server import ExistingServer, any_server
from ops.migrations import MigrationError, migrate
from ops.schema import OUR_ROLES

CLAIMS = '{"sub": "00000000-0000-0000-0000-000000000001", "role": "authenticated"}'


def rows(dsn: str, question: str) -> list[tuple[object, ...]]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        return connection.execute(question.encode()).fetchall()


@pytest.mark.matrix
def test_roles_are_supabases(server: Postgres, fresh_database: str) -> None:
    """Who may log in, who passes row level security, and that `postgres` is no superuser."""
    question = """
        SELECT rolname, rolcanlogin, rolbypassrls, rolinherit FROM pg_roles
        WHERE rolname IN ('anon', 'authenticated', 'service_role', 'authenticator', 'postgres')
        AND NOT rolsuper ORDER BY rolname COLLATE "C" """
    expected = [
        ("anon", False, False, False),
        ("authenticated", False, False, False),
        ("authenticator", True, False, False),
        ("postgres", True, True, True),
        ("service_role", False, True, False),
    ]
    assert expected == rows(server.dsn(SUPERUSER, fresh_database), question)


@pytest.mark.matrix
def test_claims_tell_who_asks(server: Postgres, fresh_database: str) -> None:
    """uid, role and jwt read the request's claims; without any they are null."""
    question = "SELECT auth.uid()::text, auth.role(), auth.jwt() ->> 'sub'"
    with psycopg.connect(server.dsn(SUPERUSER, fresh_database)) as connection:
        assert (None, None, None) == connection.execute(question).fetchone()
        connection.execute("SELECT set_config('request.jwt.claims', %s, true)", [CLAIMS])
        uid = "00000000-0000-0000-0000-000000000001"
        assert (uid, "authenticated", uid) == connection.execute(question).fetchone()
        connection.execute("SELECT set_config('request.jwt.claim.role', 'anon', true)")
        assert (uid, "anon", uid) == connection.execute(question).fetchone()


@pytest.mark.matrix
def test_api_roles_can_ask_who_they_are(server: Postgres, fresh_database: str) -> None:
    """The authenticator becomes `authenticated`, which may call auth.uid()."""
    with psycopg.connect(server.dsn(SUPERUSER, fresh_database)) as connection:
        connection.execute("SET SESSION AUTHORIZATION authenticator")
        connection.execute("SET ROLE authenticated")
        assert (None,) == connection.execute("SELECT auth.uid()").fetchone()


@pytest.mark.matrix
def test_new_tables_are_open_to_all(server: Postgres, fresh_database: str) -> None:
    """Supabase's trap is here too: a table that a migration makes is open until it revokes."""
    question = "SELECT has_table_privilege('anon', 'public.notes', 'DELETE')"
    assert [(True,)] == rows(server.dsn("postgres", fresh_database), question)


@pytest.mark.matrix
def test_migrations_ran_as_postgres(server: Postgres, fresh_database: str) -> None:
    """`postgres` owns what migrations made; the record is where the Supabase CLI keeps its own."""
    dsn = server.dsn("postgres", fresh_database)
    owner = "SELECT tableowner FROM pg_tables WHERE tablename = 'notes'"
    assert [("postgres",)] == rows(dsn, owner)
    recorded = "SELECT version FROM supabase_migrations.schema_migrations"
    assert [("20260101000000",)] == rows(dsn, recorded)


@pytest.mark.matrix
def test_postgres_cannot_become_superuser(server: Postgres, fresh_database: str) -> None:
    """What needs a superuser fails here as it would in production."""
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        rows(server.dsn("postgres", fresh_database), "CREATE ROLE chief SUPERUSER")


@pytest.mark.matrix
def test_copies_are_apart_and_can_be_migrated_further(server: Postgres, migrations: Path, tmp_path: Path) -> None:
    """A change in one copy is not in the next, and a later migration runs in a copy."""
    template = database.prepare_template(server, migrations)
    first = database.create_database(server, "first_copy", template)
    second = database.create_database(server, "second_copy", template)
    (tmp_path / "20260102000000_next.sql").write_text(
        "-- migrate:up\nCREATE SCHEMA later;\nCREATE TABLE later.t (i int);\n-- migrate:down\n"
    )
    migrate(server.dsn("postgres", first), tmp_path)
    question = "SELECT to_regclass('later.t') IS NULL"
    assert [(False,)] == rows(server.dsn(SUPERUSER, first), question)
    assert [(True,)] == rows(server.dsn(SUPERUSER, second), question)


@pytest.mark.matrix
def test_template_is_made_once_even_by_two_at_once(server: Postgres, tmp_path: Path) -> None:
    """Two that ask for the same template at once get the same one."""
    (tmp_path / "20260101000000_only.sql").write_text("-- migrate:up\nSELECT pg_sleep(0.2);\n-- migrate:down\n")
    with ThreadPoolExecutor() as pool:
        names = set(pool.map(lambda _: database.prepare_template(server, tmp_path), range(2)))
    assert 1 == len(names)
    left = "SELECT count(*) FROM pg_database WHERE datname LIKE 'making%'"
    assert [(0,)] == rows(server.dsn(SUPERUSER), left)


def test_failed_migration_says_why_without_the_password(server: Postgres, fresh_database: str, tmp_path: Path) -> None:
    """dbmate's words are in the error, the DSN's password is not."""
    (tmp_path / "20260102000000_bad.sql").write_text("-- migrate:up\nSELECT no_such_thing;\n-- migrate:down\n")
    with pytest.raises(MigrationError, match='column "no_such_thing" does not exist') as caught:
        migrate(server.dsn("postgres", fresh_database), tmp_path)
    assert server.password("postgres") not in str(caught.value)


def test_unreachable_server_is_reported_without_the_password(tmp_path: Path) -> None:
    """A refused connection does not print the DSN."""
    with pytest.raises(MigrationError) as caught:
        migrate("postgresql://me:hush@127.0.0.1:1/x?sslmode=disable", tmp_path)
    assert "hush" not in str(caught.value)


@pytest.mark.matrix
def test_roles_log_in_once_the_operator_let_them(server: Postgres, fresh_database: str) -> None:
    """Each role of ours gets a DSN that works, as itself."""
    logins = database.give_logins(server, fresh_database)
    assert list(OUR_ROLES) == list(logins)
    for role, dsn in logins.items():
        assert [(role,)] == rows(dsn, "SELECT current_user")


@pytest.fixture
def existing(server: Postgres) -> Iterator[ExistingServer]:
    borrowed = ExistingServer(server.dsn(SUPERUSER))
    yield borrowed
    borrowed.stop()


@pytest.mark.matrix
def test_existing_server_keeps_only_what_it_had(server: Postgres, existing: ExistingServer, migrations: Path) -> None:
    """Databases made on a server that is not ours have names of their own and are gone after."""
    question = "SELECT array_agg(datname ORDER BY datname) FROM pg_database"
    database.prepare_template(server, migrations)
    before = rows(server.dsn(SUPERUSER), question)
    made = database.create_database(existing, "reminders")
    assert made.startswith("reminders_reminders_")
    existing.stop()
    assert before == rows(server.dsn(SUPERUSER), question)


@pytest.mark.matrix
def test_existing_server_migrates_as_postgres_without_its_password(existing: ExistingServer, tmp_path: Path) -> None:
    """The superuser becomes `postgres`; that role's own password is neither known nor changed."""
    (tmp_path / "20260101000000_t.sql").write_text("-- migrate:up\nCREATE TABLE public.t (i int);\n-- migrate:down\n")
    name = database.create_database(existing, "as_postgres", database.prepare_template(existing, tmp_path))
    owner = "SELECT current_user, tableowner FROM pg_tables WHERE tablename = 't'"
    assert [("postgres", "postgres")] == rows(existing.dsn("postgres", name), owner)


@pytest.mark.matrix
def test_any_server_takes_the_one_that_is_named(server: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    """With DATABASE_URL no server is started."""
    monkeypatch.setenv("DATABASE_URL", server.dsn(SUPERUSER))
    with any_server() as found:
        assert server.port == found.port
