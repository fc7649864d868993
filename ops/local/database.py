"""
Databases that look like Supabase's: made, shimmed, migrated, and copied for each test.

    template (shim, migrations: once) ──CREATE DATABASE ... TEMPLATE──▶ a fresh one in some 50 ms

Migrations run as `postgres`, who is no superuser, through dbmate: the same files that
`supabase db push` applies in production.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from psycopg import sql
from psycopg.errors import DuplicateDatabase

from ops.local.server import MIGRATOR, ExistingServer, Server, admin, any_server, one_at_a_time

__all__ = [
    "LOGIN_ROLES",
    "ExistingServer",
    "MigrationError",
    "Server",
    "any_server",
    "apply_shim",
    "create_database",
    "drop_database",
    "give_logins",
    "migrate",
    "prepared",
]

SHIM = Path(__file__).with_name("supabase.sql")
MIGRATIONS = Path(__file__).resolve().parent.parent.parent / "migrations"
MIGRATIONS_TABLE = "supabase_migrations.schema_migrations"
LOGIN_ROLES = ("cron_runner", "reminder_scheduler", "contact_admin_api", "reminder_courier", "message_feedback")


class MigrationError(RuntimeError):
    """A migration failed; the message is dbmate's, without the password."""


def create_database(server: Server, name: str, template: str | None = None) -> str:
    """Make a database, empty or as a copy; returns its name (unique on an existing server)."""
    actual = server.database_name(name)
    make = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
        sql.Identifier(actual), sql.Identifier(template or "template1")
    )
    with admin(server) as connection:
        connection.execute(make)
        if template:
            # Rights on a database are not copied with it, and a migration may run in the copy.
            grant = sql.SQL("GRANT ALL ON DATABASE {} TO {}")
            connection.execute(grant.format(sql.Identifier(actual), sql.Identifier(MIGRATOR)))
    return actual


def drop_database(server: Server, name: str) -> None:
    """Drop it if it exists, with its connections."""
    drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
    with admin(server) as connection:
        connection.execute(drop)


def apply_shim(server: Server, database: str) -> None:
    """Make the database look like a new Supabase project's, and let `postgres` log in."""
    with one_at_a_time(server), admin(server, database) as connection, connection.transaction():
        connection.execute(SHIM.read_bytes())
        if not isinstance(server, ExistingServer):
            connection.execute(_login(server, MIGRATOR))


def migrate(dsn: str, migrations: Path = MIGRATIONS) -> str:
    """
    Apply what is missing, in order, and return what dbmate said.

    Raises MigrationError with dbmate's output; the connection's password is in neither.
    """
    command = [_dbmate(), "--no-dump-schema", "--migrations-table", MIGRATIONS_TABLE]
    where = ["--migrations-dir", str(migrations)]
    # By environment: arguments can be read by every local user.
    environment = {**os.environ, "DATABASE_URL": dsn}
    done = subprocess.run([*command, *where, "migrate"], env=environment, capture_output=True, text=True, check=False)
    said = _without_password(done.stdout + done.stderr, dsn)
    if done.returncode:
        raise MigrationError(f"dbmate could not migrate: {said.strip()}")
    return said


def give_logins(server: Server, database: str) -> dict[str, str]:
    """Do the operator's part: let our roles log in. Returns each role's DSN for this database."""
    with one_at_a_time(server), admin(server, database) as connection:
        for role in LOGIN_ROLES:
            connection.execute(_login(server, role))
    return {role: server.dsn(role, database) for role in LOGIN_ROLES}


def prepared(server: Server, migrations: Path = MIGRATIONS) -> str:
    """
    The name of a shimmed and migrated template, made when it is first asked for.

    It gets its name last, so a half-migrated one is never mistaken for it. Keyed by the migrations'
    content: an edited migration makes another one.
    """
    name = server.database_name(f"template_{_content_key(migrations)}")
    if not _exists(server, name):
        making = create_database(server, f"making_{secrets.token_hex(4)}_{name}"[:60])
        try:
            apply_shim(server, making)
            with one_at_a_time(server):
                migrate(server.dsn(MIGRATOR, making), migrations)
                _rename(server, making, name)
        finally:
            drop_database(server, making)
    return name


def _login(server: Server, role: str) -> sql.Composed:
    statement = sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}")
    return statement.format(sql.Identifier(role), sql.Literal(server.password(role)))


def _dbmate() -> str:
    """Beside this Python, whose environment need not be active; else wherever it is."""
    beside = Path(sys.executable).with_name("dbmate")
    found = str(beside) if beside.exists() else shutil.which("dbmate")
    if not found:
        raise MigrationError("dbmate is not installed: `make setup` brings it")
    return found


def _without_password(text: str, dsn: str) -> str:
    password = urlsplit(dsn).password
    return text.replace(password, "***") if password else text


def _content_key(migrations: Path) -> str:
    digest = hashlib.sha256(SHIM.read_bytes())
    for file in _files(migrations):
        digest.update(b"\0" + file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]


def _files(migrations: Path) -> Iterator[Path]:
    yield from sorted(migrations.glob("*.sql"))


def _exists(server: Server, name: str) -> bool:
    with admin(server) as connection:
        query = "SELECT 1 FROM pg_database WHERE datname = %s"
        return connection.execute(query, [name]).fetchone() is not None


def _rename(server: Server, old: str, new: str) -> None:
    """Unless another process made the same template meanwhile."""
    rename = sql.SQL("ALTER DATABASE {} RENAME TO {}")
    with admin(server) as connection, suppress(DuplicateDatabase):
        connection.execute(rename.format(sql.Identifier(old), sql.Identifier(new)))
