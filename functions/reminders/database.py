"""
Connections, transactions and named queries.

Written for a transaction-mode pooler: no prepared statements, no session settings, nothing that outlives a
transaction. Every error of psycopg becomes a `DatabaseError` here, because psycopg's own text carries
DETAIL lines with row values, and those must not reach a log.
"""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import resources
from ipaddress import ip_address
from typing import Any, Self, TypeVar, cast

import psycopg
from psycopg import conninfo
from psycopg.rows import class_row

from reminders import unreachable
from reminders.errors import DatabaseError, DatabaseUnavailable
from reminders.unreachable import Problem

Connection = psycopg.Connection[Any]
Row = TypeVar("Row")
CONNECT_TIMEOUT_SECONDS = 5
# A server that vanished without a word is noticed within 20 to 25 seconds, and not at the end of the invocation (libpq:
# "Parameter Key Words"; tcp_user_timeout is in milliseconds, and Linux only).
NETWORK_LIMITS = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 20_000}
# libpq's modes that never go on in plain text. PostgreSQL documentation, "SSL Support in libpq".
ENCRYPTED = {"require", "verify-ca", "verify-full"}


def connect(dsn: str, *, name: str) -> Connection:
    """
    An autocommit connection.

    `dsn` is a libpq URI; `name` is shown as `application_name` in `pg_stat_activity`. Raise
    `DatabaseUnavailable`, without the DSN, host or user, when no connection can be made.
    """
    try:
        parameters = conninfo.conninfo_to_dict(dsn)
    except psycopg.ProgrammingError as error:
        raise _unreachable(unreachable.of_uri(str(error))) from None
    if problem := unreachable.of_parameters(parameters):
        raise _unreachable(problem)
    if not stays_on_this_machine(parameters):
        parameters["sslmode"] = _encrypted_mode(parameters)
    parameters = {"connect_timeout": CONNECT_TIMEOUT_SECONDS, **NETWORK_LIMITS, **parameters, "application_name": name}
    try:
        return psycopg.connect(**cast(Any, parameters), autocommit=True, prepare_threshold=None)
    except psycopg.Error as error:
        raise _unreachable(unreachable.of_connection(str(error)), "database unreachable: ") from None


def _encrypted_mode(parameters: Mapping[str, Any]) -> str:
    """
    The URI's sslmode; without one `require`, or what PGSSLMODE demands beyond it.

    libpq's default would silently fall back to plain text if an attacker in between refuses TLS. Only a container of
    `sam local invoke`, which sets AWS_SAM_LOCAL, may ask for plain text: it reaches this machine by a bridge's address.
    """
    stated = parameters.get("sslmode")
    if stated is None:
        ambient = os.environ.get("PGSSLMODE", "")
        return ambient if ambient in ENCRYPTED else "require"
    if stated not in ENCRYPTED and not os.environ.get("AWS_SAM_LOCAL"):
        raise _unreachable(unreachable.PLAIN_TEXT)
    return str(stated)


def stays_on_this_machine(parameters: Mapping[str, Any]) -> bool:
    """Whether every address is a local socket or loopback. libpq connects to hostaddr where there is one."""
    if parameters.get("service") or os.environ.get("PGSERVICE"):
        return False  # libpq reads the address from a file, which we do not
    address = parameters.get("hostaddr") or os.environ.get("PGHOSTADDR")
    address = address or parameters.get("host") or os.environ.get("PGHOST", "")
    return all(map(_is_local, str(address).split(",")))


def _is_local(host: str) -> bool:
    # No name is the default socket; "/" is a socket's directory and "@" its abstract name.
    if host in {"", "localhost"} or host.startswith(("/", "@")):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _unreachable(problem: Problem, prefix: str = "") -> DatabaseUnavailable:
    return DatabaseUnavailable(f"{prefix}{problem.what}", hint=problem.hint)


@contextmanager
def errors_translated() -> Iterator[None]:
    """Turn psycopg's errors into `DatabaseError` and `DatabaseUnavailable` with a safe text."""
    try:
        yield
    except psycopg.Error as error:
        raise translate_error(error) from None


def translate_error(error: psycopg.Error) -> DatabaseError:
    """psycopg's error as ours."""
    kind = DatabaseUnavailable if _connection_is_gone(error) else DatabaseError
    return kind(describe(error), error.sqlstate)


def _connection_is_gone(error: psycopg.Error) -> bool:
    if error.sqlstate is None:
        # InternalError: psycopg found two results for one command, for example the last message of a pooler that stops.
        return isinstance(error, psycopg.OperationalError | psycopg.InternalError)
    # 08: connection exceptions. A FATAL error ends the session, whatever its SQLSTATE (PostgreSQL documentation, "Error
    # Message Severity Levels"): PostgreSQL's own have 57P or 25P03, those of Supabase's pooler XX000.
    return error.sqlstate.startswith("08") or error.diag.severity_nonlocalized in {"FATAL", "PANIC"}


def describe(error: psycopg.Error) -> str:
    """
    SQLSTATE, class, PostgreSQL's primary message and the names of the things concerned.

    Class 22 (bad data) quotes values in the primary message, and so may anything that comes out of a function or
    trigger, whatever its SQLSTATE: RAISE, dynamic SQL. In these cases the primary message is left out.
    """
    diag = error.diag
    quotes_values = error.sqlstate is None or error.sqlstate.startswith("22") or diag.context is not None
    primary = None if quotes_values else diag.message_primary
    names = [n for n in (diag.table_name, diag.column_name, diag.constraint_name) if n]
    hint = " (are the migrations applied?)" if error.sqlstate in {"42P01", "42883", "42703"} else ""
    parts = [f"{type(error).__name__} {error.sqlstate or ''}".strip(), primary, ", ".join(names)]
    return ": ".join(part for part in parts if part) + hint


@contextmanager
def transaction(connection: Connection, settings: Mapping[str, str] | None = None) -> Iterator[None]:
    """
    A transaction on an autocommit connection, which begins with SET LOCAL for `settings`.

    A plain SET would stay on the pooler's server connection, and affect its next client.
    """
    with errors_translated(), connection.transaction():
        if settings:
            set_local(connection, settings)
        yield


def set_local(connection: Connection, settings: Mapping[str, str]) -> None:
    """SET LOCAL for all `settings` (PostgreSQL parameter: value) in one statement."""
    calls = ", ".join("set_config(%s, %s, true)" for _ in settings)
    values = [text for pair in settings.items() for text in pair]
    connection.execute(f"SELECT {calls}".encode(), values)


class Queries:
    """
    The named queries of one package: `Queries("reminders.runs", "ledger.sql")`.

    A file has blocks that begin with `-- name: x`; comments after it are the reason for the query's shape.
    A block `-- fragment: y` is text that a query takes in by a line `-- include: y`.
    """

    def __init__(self, package: str, file: str) -> None:
        text = resources.files(package).joinpath(file).read_text(encoding="utf-8")
        blocks = re.split(r"^-- (name|fragment): (\w+)\n", text, flags=re.MULTILINE)[1:]
        found = list(zip(blocks[0::3], blocks[1::3], blocks[2::3], strict=True))
        fragments = {name: sql.strip() for kind, name, sql in found if kind == "fragment"}
        # Bytes, which psycopg accepts as they are; a str would have to be a literal of the source code.
        self.by_name = {name: _with_fragments(sql, fragments).encode() for kind, name, sql in found if kind == "name"}

    def renamed(self, table: str, other: str) -> Self:
        """The same queries on the table `other` instead of `table`."""
        found = copy.copy(self)
        found.by_name = {name: sql.replace(table.encode(), other.encode()) for name, sql in self.by_name.items()}
        return found

    def first(self, connection: Connection, name: str, row: type[Row], **values: object) -> Row | None:
        """The first row of query `name` as a `row` (a dataclass whose fields are its columns), or None."""
        with errors_translated(), connection.cursor(row_factory=class_row(row)) as cursor:
            return cursor.execute(self.by_name[name], values).fetchone()

    def one(self, connection: Connection, name: str, row: type[Row], **values: object) -> Row:
        """The only row of a query that always has one."""
        found = self.first(connection, name, row, **values)
        if found is None:
            raise DatabaseError(f"query {name} gave no row")
        return found

    def all(self, connection: Connection, name: str, row: type[Row], **values: object) -> list[Row]:
        """All rows of query `name`."""
        with errors_translated(), connection.cursor(row_factory=class_row(row)) as cursor:
            return cursor.execute(self.by_name[name], values).fetchall()

    def value(self, connection: Connection, name: str, **values: object) -> Any:
        """The first column of the first row of query `name`, or None."""
        with errors_translated():
            row = connection.execute(self.by_name[name], values).fetchone()
        return None if row is None else row[0]

    def run(self, connection: Connection, name: str, **values: object) -> int:
        """Execute a query for its effect; return how many rows it touched."""
        with errors_translated():
            return connection.execute(self.by_name[name], values).rowcount


def _with_fragments(sql: str, fragments: Mapping[str, str]) -> str:
    return re.sub(r"^-- include: (\w+)$", lambda m: fragments[m[1]], sql, flags=re.MULTILINE).strip()
