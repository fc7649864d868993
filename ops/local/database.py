"""
Databases that look like Supabase's: created, prepared, migrated, and copied for each test.

    template (shim, migrations: once) ──CREATE DATABASE ... TEMPLATE──▶ a fresh one in some 50 ms

Migrations run as `postgres`, which is not a superuser.
"""

from __future__ import annotations

import hashlib
import secrets
from contextlib import suppress
from pathlib import Path

from psycopg import sql
from psycopg.errors import DuplicateDatabase

from ops.local.server import MIGRATOR, ExistingServer, Server, admin, lock_roles
from ops.migrations import MIGRATIONS, migrate
from ops.schema import OUR_ROLES

SHIM = Path(__file__).with_name("supabase.sql")


def create_database(server: Server, name: str, template: str | None = None) -> str:
    """Create a database, empty or as a copy; return its name (unique on an existing server)."""
    actual = server.database_name(name)
    # Half the work of PostgreSQL's default, which writes each page to its log. An existing server syncs to a disk,
    # where the two checkpoints of a file copy can take longer.
    strategy = "WAL_LOG" if isinstance(server, ExistingServer) else "FILE_COPY"
    make = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY {}").format(
        sql.Identifier(actual), sql.Identifier(template or "template1"), sql.Identifier(strategy.lower())
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
    with lock_roles(server), admin(server, database) as connection, connection.transaction():
        connection.execute(SHIM.read_bytes())
        if not isinstance(server, ExistingServer):
            connection.execute(_login(server, MIGRATOR))


def give_logins(server: Server, database: str) -> dict[str, str]:
    """Let our roles log in, as an operator does. Returns each role's DSN for this database."""
    # A server of ours gives the same passwords each time, and PostgreSQL hashes for 5 ms a password.
    if isinstance(server, ExistingServer) or not _can_log_in(server):
        with lock_roles(server), admin(server, database) as connection:
            for role in OUR_ROLES:
                connection.execute(_login(server, role))
    return {role: server.dsn(role, database) for role in OUR_ROLES}


def prepare_template(server: Server, migrations: Path = MIGRATIONS) -> str:
    """
    Return the name of a prepared and migrated template, and create it on the first call.

    It gets its name last, so that a half-migrated one is never used. The name has a hash of the migrations: an edited
    migration makes another template.
    """
    name = server.database_name(f"template_{_content_key(migrations)}")
    with admin(server) as connection:
        exists = connection.execute("SELECT FROM pg_database WHERE datname = %s", [name]).fetchone()
    if exists is None:
        making = create_database(server, f"making_{secrets.token_hex(4)}_{name}"[:60])
        try:
            apply_shim(server, making)
            rename = sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(making), sql.Identifier(name))
            with lock_roles(server):
                migrate(server.dsn(MIGRATOR, making), migrations)
                # Another process may have made the same template meanwhile.
                with admin(server) as connection, suppress(DuplicateDatabase):
                    connection.execute(rename)
        finally:
            drop_database(server, making)
    return name


def _can_log_in(server: Server) -> bool:
    with admin(server) as connection:
        query = "SELECT FROM pg_roles WHERE rolcanlogin AND rolname = ANY (%s)"
        return len(OUR_ROLES) == len(connection.execute(query, [list(OUR_ROLES)]).fetchall())


def _login(server: Server, role: str) -> sql.Composed:
    statement = sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}")
    return statement.format(sql.Identifier(role), sql.Literal(server.password(role)))


def _content_key(migrations: Path) -> str:
    digest = hashlib.sha256(SHIM.read_bytes())
    for file in sorted(migrations.glob("*.sql")):
        digest.update(b"\0" + file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]
