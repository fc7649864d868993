"""Connections that fail in a sentence, errors without row values, settings that do not stay."""

from __future__ import annotations

import os
import socket
import sys
from contextlib import closing
from urllib.parse import quote

import psycopg
import pytest

from ops.local.server import ExistingServer, Server, admin
from reminders import database as database_module
from reminders.database import Connection, Queries, connect, errors_translated, stays_on_this_machine, transaction
from reminders.errors import DatabaseError, DatabaseUnavailable
from tests.factories import add_assignment
from tests.helpers.cases import table
from tests.helpers.connections import AsRole


def test_connection_as_a_function_makes_it(server: Server, database: str) -> None:
    """Named for pg_stat_activity, autocommit, nothing prepared; psycopg's C implementation."""
    with connect(server.dsn("cron_runner", database), name="reminders-test") as connection:
        assert ("reminders-test",) == connection.execute("SHOW application_name").fetchone()
        assert (True, None) == (connection.autocommit, connection.prepare_threshold)
    import psycopg

    assert "binary" == psycopg.pq.__impl__


@table(
    ("dsn", "message"),
    [
        ("postgresql://hidden-user:x@127.0.0.1:1/x", "database unreachable: connection refused"),
        ("postgresql://hidden-user:x@host.invalid/x", "database unreachable: its host name cannot be resolved"),
        ("not a dsn hunter2", "the database secret does not hold a libpq URI"),
        ("", "database unreachable: "),
    ],
)
def test_no_connection(dsn: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason in words of our own, without the DSN, its host or its user."""
    monkeypatch.setenv("PGHOST", "127.0.0.1")
    monkeypatch.setenv("PGPORT", "1")
    with pytest.raises(DatabaseUnavailable) as caught:
        connect(dsn, name="x")
    assert str(caught.value).startswith(message)
    assert not any(secret in str(caught.value) for secret in ("127.0.0.1", "hidden-user", "invalid", "hunter2"))


def test_wrong_password(server: Server, database: str) -> None:
    """Reported as what it is."""
    dsn = server.dsn("cron_runner", database).replace(server.password("cron_runner"), "hunter2")
    with pytest.raises(DatabaseUnavailable, match=r"^database unreachable: it rejected the password$"):
        connect(dsn, name="x")


def test_unknown_database(server: Server, template: str) -> None:
    """Reported as what it is; its name is not."""
    with pytest.raises(DatabaseUnavailable, match=r"^database unreachable: it does not know the database$"):
        connect(server.dsn("cron_runner", "anna_smith"), name="x")


def test_plain_text_to_another_machine(server: Server, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the host is not this machine and the URI says nothing, TLS is a must."""
    if isinstance(server, ExistingServer):
        pytest.skip("it may offer TLS")
    monkeypatch.setattr(database_module, "_is_local", lambda host: False)
    dsn = server.dsn("cron_runner", database).replace("sslmode=disable", "")
    with pytest.raises(DatabaseUnavailable, match="no TLS connection could be made"):
        connect(dsn, name="x")


def test_password_with_odd_characters(server: Server, database: str) -> None:
    """A URI's percent-encoding is libpq's to read."""
    with admin(server, database) as superuser:
        superuser.execute("CREATE ROLE odd_one LOGIN PASSWORD 'p@ss/w:rd %'")
    base = server.dsn("cron_runner", database)
    login = f"odd_one:{quote('p@ss/w:rd %', safe='')}"
    try:
        connect(base.replace(f"cron_runner:{server.password('cron_runner')}", login), name="x").close()
    finally:
        with admin(server, database) as superuser:
            superuser.execute("DROP ROLE odd_one")


def test_errors_hold_no_row_values(owner: Connection, as_role: AsRole) -> None:
    """DETAIL lines quote rows; SQLSTATE, class, message and names do not."""
    assignment = add_assignment(owner)
    with pytest.raises(DatabaseError) as caught, errors_translated():
        owner.execute("INSERT INTO assignments (id, org_id, peer_mentor_id) VALUES (%s, %s, %s)", [assignment] * 3)
    assert str(assignment) not in str(caught.value)
    assert "UniqueViolation 23505" in str(caught.value)
    assert "assignments_pkey" in str(caught.value)


@table(
    ("statement", "message"),
    [
        ("SELECT 'Anna Smith'::int", "InvalidTextRepresentation 22P02"),
        ("DO $$ BEGIN RAISE 'Anna Smith moved'; END $$", "RaiseException P0001"),
        ("SELECT * FROM no_such_table", "UndefinedTable 42P01: relation"),
    ],
)
def test_errors_whose_message_quotes_values(owner: Connection, statement: str, message: str) -> None:
    """Bad data and RAISE quote what was given: only class and SQLSTATE are reported of those."""
    with pytest.raises(DatabaseError) as caught, errors_translated():
        owner.execute(statement.encode())
    assert str(caught.value).startswith(message)
    assert "Anna" not in str(caught.value)


def test_missing_table(owner: Connection) -> None:
    """The likeliest reason is said with it."""
    with pytest.raises(DatabaseError, match=r"\(are the migrations applied\?\)$"), errors_translated():
        owner.execute("SELECT * FROM no_such_table")


def test_connection_that_is_gone(server: Server, database: str, as_role: AsRole) -> None:
    """A session that the server ended is unavailable, not refused: a retry may help."""
    connection = as_role("cron_runner")
    with admin(server, database) as superuser:
        superuser.execute("SELECT pg_terminate_backend(%s, 5000)", [connection.info.backend_pid])
    for _ in range(2):  # the server's word first, then a connection known to be closed
        with pytest.raises(DatabaseUnavailable), errors_translated():
            connection.execute("SELECT 1")


@pytest.mark.skipif(sys.platform != "linux", reason="TCP_USER_TIMEOUT is Linux's")
def test_server_that_vanishes_is_noticed(server: Server, database: str) -> None:
    """By the kernel, within seconds: else a call would wait until the end of the invocation."""
    with (
        closing(connect(server.dsn("cron_runner", database), name="test")) as connection,
        socket.socket(fileno=os.dup(connection.fileno())) as wire,
    ):
        assert 20_000 == wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
        assert 10 == wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)


def test_last_words_of_a_pooler() -> None:
    """PgBouncer reports a lost backend beside the answer to the next command; psycopg has no SQLSTATE for that."""
    with pytest.raises(DatabaseUnavailable), errors_translated():
        raise psycopg.InternalError("received 2 results from command 'COMMIT'")


@table(
    ("parameters", "stays"),
    [
        ({}, True),
        ({"host": "localhost"}, True),
        ({"host": "/var/run/postgresql"}, True),
        ({"host": "@abstract"}, True),
        ({"host": "127.0.0.2"}, True),
        ({"host": "::1"}, True),
        ({"host": "127.0.0.1,localhost"}, True),
        ({"host": "db.example.org", "hostaddr": "127.0.0.1"}, True),
        ({"host": "db.example.org"}, False),
        ({"host": "10.0.0.1"}, False),
        ({"host": "localhost,db.example.org"}, False),
        ({"host": "localhost", "service": "x"}, False),
    ],
)
def test_connection_that_stays_on_this_machine(parameters: dict[str, str], stays: bool) -> None:
    """Only such a connection may be in plain text."""
    assert stays == stays_on_this_machine(parameters)


def test_queries_on_another_table() -> None:
    """For a project whose own notifications table cannot store ours; the queries of before stay as they were."""
    queries = Queries("reminders.scheduling", "scheduling.sql")
    renamed = queries.renamed("public.notifications", "public.reminder_notifications")
    for found, name in ((queries, b"INTO public.notifications"), (renamed, b"INTO public.reminder_notifications")):
        assert name in found.by_name["dispatch_batch"]


def test_settings_of_a_transaction(owner: Connection) -> None:
    """They hold inside, for several at once, and not after."""
    with transaction(owner, {"statement_timeout": "1234ms", "lock_timeout": "5678ms"}):
        assert [("1234ms",), ("5678ms",)] == [
            owner.execute("SHOW statement_timeout").fetchone(),
            owner.execute("SHOW lock_timeout").fetchone(),
        ]
    assert ("0",) == owner.execute("SHOW statement_timeout").fetchone()


def test_transaction_that_fails(owner: Connection) -> None:
    """Nothing of it stays."""
    with pytest.raises(DatabaseError, match="22012"), transaction(owner):
        owner.execute("INSERT INTO org_settings (org_id) VALUES (gen_random_uuid())")
        owner.execute("SELECT 1/0")
    assert (0,) == owner.execute("SELECT count(*) FROM org_settings").fetchone()


def test_query_without_a_row(owner: Connection) -> None:
    """Where one row is certain, its absence is an error that names the query."""
    queries = Queries("reminders.scheduling", "scheduling.sql")
    queries.by_name["first_open"] += b" -- no assignments here"
    with pytest.raises(DatabaseError, match=r"^query first_open gave no row$"):
        queries.one(owner, "first_open", dict, first=None, last=None)


@table(
    "address",
    ["hostaddr=203.0.113.1", "service=prod", "host=localhost hostaddr=203.0.113.1", "host=/tmp,db.invalid", "host=db"],
)
def test_address_of_another_machine(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However another machine is named, TLS is demanded, and a weaker sslmode is refused before connecting."""
    made: list[str] = []

    def refuse(**parameters: str) -> None:
        made.append(parameters["sslmode"])
        raise psycopg.OperationalError("connection refused")

    monkeypatch.setattr(psycopg, "connect", refuse)
    monkeypatch.setenv("PGSSLMODE", "disable")
    for mode in ("", "sslmode=require", "sslmode=verify-full"):
        with pytest.raises(DatabaseUnavailable, match="connection refused"):
            connect(f"{address} {mode}", name="x")
    assert ["require", "require", "verify-full"] == made
    for mode in ("disable", "allow", "prefer"):
        with pytest.raises(DatabaseUnavailable, match=r"must be require, verify-ca or verify-full"):
            connect(f"{address} sslmode={mode}", name="x")
    assert 3 == len(made)


def test_plain_text_from_a_container_of_sam_local(monkeypatch: pytest.MonkeyPatch) -> None:
    """It reaches this machine by a bridge's address; plain text must still be asked for."""
    made: list[str] = []

    def refuse(**parameters: str) -> None:
        made.append(parameters["sslmode"])
        raise psycopg.OperationalError("connection refused")

    monkeypatch.setattr(psycopg, "connect", refuse)
    monkeypatch.setenv("AWS_SAM_LOCAL", "true")
    for mode in ("sslmode=disable", ""):
        with pytest.raises(DatabaseUnavailable, match="connection refused"):
            connect(f"host=172.17.0.1 {mode}", name="x")
    assert ["disable", "require"] == made


@table("name", ["PGHOSTADDR", "PGSERVICE"])
def test_environment_that_names_another_machine(name: str) -> None:
    """A variable of libpq's that moves the connection elsewhere does not take TLS away."""
    with pytest.MonkeyPatch.context() as patched, pytest.raises(DatabaseUnavailable, match="allows plain text"):
        patched.setenv(name, "203.0.113.1")
        connect("host=localhost sslmode=disable", name="x")
