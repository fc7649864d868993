"""
The servers of the local stack: one that it starts, or an existing one.

`DATABASE_URL`, a superuser's URI, names an existing server (CI's service container, say).
Databases are created there with unique names and dropped at the end; a killed run leaves its
databases behind, all named `..._reminders_...`. Its role `postgres` is never changed: to migrate,
the superuser connects and switches to it.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import quote, unquote, urlencode, urlsplit, urlunsplit

import psycopg
from psycopg import sql

from ops.local.postgres import Postgres

MIGRATOR = "postgres"


class ExistingServer:
    """An existing server, by its superuser's URI."""

    def __init__(self, uri: str) -> None:
        parts = urlsplit(uri)
        self._parts = parts
        self._secret = uri.encode()
        self._mark = f"_reminders_{secrets.token_hex(4)}"
        self.superuser = unquote(parts.username or "postgres")
        self.port = parts.port or 5432
        with psycopg.connect(uri) as connection:
            self.version = connection.info.parameter_status("server_version") or ""

    def dsn(self, user: str, database: str = "postgres") -> str:
        """A libpq URI. For `postgres` it is the superuser's, who switches to that role on connecting."""
        if user == self.superuser:
            return self._uri(self._parts.netloc, database, self._parts.query)
        if user == MIGRATOR:
            become = urlencode({"options": f"-c role={MIGRATOR}"}, quote_via=quote)
            query = f"{self._parts.query}&{become}" if self._parts.query else become
            return self._uri(self._parts.netloc, database, query)
        host = self._parts.netloc.rpartition("@")[2]
        login = f"{quote(user, safe='')}:{self.password(user)}"
        return self._uri(f"{login}@{host}", database, self._parts.query)

    def password(self, user: str) -> str:
        """From the URI: two test runs on one server agree on the passwords of its roles."""
        return hmac.new(self._secret, user.encode(), hashlib.sha256).hexdigest()[:32]

    def database_name(self, name: str) -> str:
        """Unique to this run, and within PostgreSQL's 63 bytes."""
        return name if name.endswith(self._mark) else name[: 63 - len(self._mark)] + self._mark

    def stop(self) -> None:
        """Drop the databases of this run; the server goes on."""
        with admin(self) as connection:
            query = "SELECT datname FROM pg_database WHERE datname LIKE %s"
            pattern = "%" + self._mark.replace("_", r"\_")
            for (name,) in connection.execute(query, [pattern]).fetchall():
                drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
                connection.execute(drop.format(sql.Identifier(name)))

    def _uri(self, netloc: str, database: str, query: str) -> str:
        path = "/" + quote(database, safe="")
        return urlunsplit(("postgresql", netloc, path, query, ""))


# Both have the same methods. A role's password is always the same.
Server = Postgres | ExistingServer


@contextmanager
def any_server(settings: Mapping[str, str] | None = None) -> Iterator[Server]:
    """
    The server that DATABASE_URL names, else a new one; cleaned up, or stopped, at the end.

    `settings` are PostgreSQL's parameters, for a new server only.
    """
    uri = os.environ.get("DATABASE_URL")
    server: Server = ExistingServer(uri) if uri else Postgres.start(settings=settings)
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def admin(server: Server, database: str = "postgres") -> Iterator[psycopg.Connection]:
    """The superuser's autocommitting connection."""
    with psycopg.connect(server.dsn(server.superuser, database), autocommit=True) as connection:
        yield connection


@contextmanager
def lock_roles(server: Server) -> Iterator[None]:
    """
    Hold a lock while roles are changed.

    Roles belong to the whole server: two processes that change them at once fail on each other's rows.
    """
    # An advisory lock belongs to one database, so all processes take it in the same one.
    with admin(server) as connection:
        connection.execute("SELECT pg_advisory_lock(hashtext('reminders: roles'))")
        yield
