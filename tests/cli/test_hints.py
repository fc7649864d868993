"""Each error that an operator meets on the way to the database: really made, and the hint that is read then."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest

from ops.cli.main import main
from ops.local.server import Server, admin
from reminders import database as database_module
from reminders import unreachable
from tests.faults.pgbouncer import PgBouncer, installed
from tests.helpers.cases import table

PASSWORD = "hunter2"


class Full(PgBouncer):
    """A pooler that takes two clients."""

    def _settings(self) -> str:
        return f"{super()._settings()}max_client_conn = 2\n"


class Plain(PgBouncer):
    """A pooler for which every user is unknown."""

    def _settings(self) -> str:
        return super()._settings().replace("auth_type = trust", "auth_type = plain")


def uri(server: Server, database: str, role: str = "cron_runner") -> str:
    return server.dsn(role, database)


def with_password(server: Server, database: str, password: str) -> str:
    return uri(server, database).replace(f":{server.password('cron_runner')}@", f":{password}@")


def with_more(server: Server, database: str, parameter: str) -> str:
    base = uri(server, database)
    return f"{base}{'&' if '?' in base else '?'}{parameter}"


# How the URI is made wrong, what is said, and a part of the hint.
URIS: dict[str, tuple[Callable[[Server, str], str], str, str]] = {
    "wrong password": (lambda s, d: with_password(s, d, PASSWORD), "it rejected the password", "percent-encoded"),
    "Prisma's URI": (
        lambda s, d: with_more(s, d, "pgbouncer=true"),
        "a parameter that libpq does not know: pgbouncer",
        "Take what is for other drivers",
    ),
    "another unknown parameter": (
        lambda s, d: with_more(s, d, f"{PASSWORD}=1"),
        "a parameter that libpq does not know",
        "out of the URI",
    ),
    "/ in the password": (lambda s, d: with_password(s, d, f"{PASSWORD}/x"), "not percent-encoded", "/ as %2F"),
    "@ in the password": (lambda s, d: with_password(s, d, f"{PASSWORD}@x"), "not percent-encoded", "@ as %40"),
    "# in the password": (lambda s, d: with_password(s, d, f"{PASSWORD}#x"), "rejected the password", "# as %23"),
    ": in the password": (lambda s, d: with_password(s, d, f"{PASSWORD}:x"), "rejected the password", ": as %3A"),
    "% in the password": (lambda s, d: with_password(s, d, f"{PASSWORD}%zz"), "% that encodes nothing", "% as %25"),
    "user for the pooler at the server": (
        lambda s, d: uri(s, d).replace("cron_runner:", "cron_runner.abcdefgh:"),
        "rejected the password",
        "ROLE.PROJECT",
    ),
    "unknown database": (lambda s, d: uri(s, "other"), "does not know the database", "name is postgres"),
    "connection refused": (lambda s, d: f"postgresql://x:{PASSWORD}@127.0.0.1:1/x", "connection refused", "6543"),
    "no such host": (lambda s, d: f"postgresql://x:{PASSWORD}@db.invalid/x", "cannot be resolved", "pooler's host"),
    "an IPv6 address without a route": (
        lambda s, d: f"postgresql://x:{PASSWORD}@[2001:db8::1]/x",
        "no route to its address",
        "use the pooler's host",
    ),
    "TLS from a server that has none": (
        lambda s, d: uri(s, d).replace("sslmode=disable", "sslmode=require"),
        "it offers none",
        "Switch it on",
    ),
    "no URI": (lambda s, d: "nonsense", "libpq URI", "postgresql://USER:PASSWORD@HOST"),
}


def printed(where: str, capsys: pytest.CaptureFixture[str]) -> str:
    """What `status` says; exit code 3, and never a password."""
    assert 3 == main(["status", "--database", where])
    said = capsys.readouterr()
    assert ("", False, False) == (said.out, PASSWORD in said.err, "Traceback" in said.err), said.err
    return said.err


@table("case", URIS)
def test_an_error_has_a_hint(case: str, server: Server, template: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What is wrong in words, and what to do about it."""
    make, what, hint = URIS[case]
    if case.startswith("an IPv6") and _has_route():
        pytest.skip("this machine has a route to every IPv6 address")
    said = printed(make(server, template), capsys)
    assert (True, True) == (what in said, hint in said), said


def _has_route() -> bool:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
        return probe.connect_ex(("2001:db8::1", 9)) == 0


@contextmanager
def limited(server: Server, template: str) -> Iterator[str]:
    """A login that may have one connection, and has it."""
    with admin(server, template) as superuser:
        superuser.execute("CREATE ROLE busy_one LOGIN CONNECTION LIMIT 1 PASSWORD 'busy-busy-busy-busy'")
    where = uri(server, template).replace(
        f"cron_runner:{server.password('cron_runner')}", "busy_one:busy-busy-busy-busy"
    )
    try:
        with psycopg.connect(where):
            yield where
    finally:
        with admin(server, template) as superuser:
            superuser.execute("DROP ROLE busy_one")


@contextmanager
def without_login(server: Server, template: str) -> Iterator[str]:
    """A role as the migrations leave it."""
    with admin(server, template) as superuser:
        superuser.execute("CREATE ROLE shut_out NOLOGIN PASSWORD 'shut-shut-shut-shut'")
    try:
        login = "shut_out:shut-shut-shut-shut"
        yield uri(server, template).replace(f"cron_runner:{server.password('cron_runner')}", login)
    finally:
        with admin(server, template) as superuser:
            superuser.execute("DROP ROLE shut_out")


@contextmanager
def full_pooler(server: Server, template: str) -> Iterator[str]:
    with Full(server) as pooler, ExitStack() as stack:
        where = pooler.through(uri(server, template))
        with suppress(psycopg.OperationalError):
            for _ in range(5):
                stack.enter_context(closing(psycopg.connect(where)))
        yield where


@contextmanager
def startup_parameter(server: Server, template: str) -> Iterator[str]:
    with PgBouncer(server) as pooler:
        yield f"{pooler.through(uri(server, template))}&options=-c%20statement_timeout%3D1000"


@contextmanager
def unknown_to_the_pooler(server: Server, template: str) -> Iterator[str]:
    with Plain(server) as pooler:
        yield pooler.through(uri(server, template)).replace("cron_runner:", "unknown_user:")


@contextmanager
def answering(answer: bytes | None) -> Iterator[str]:
    """What is no PostgreSQL: answers every client so; None is silence."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        waiting: list[socket.socket] = []

        def serve() -> None:
            while True:
                try:
                    client, _ = listening.accept()
                except OSError:
                    return
                waiting.append(client)
                if answer is not None:
                    client.recv(1024)
                    client.sendall(answer)
                    client.close()

        threading.Thread(target=serve, daemon=True).start()
        yield f"postgresql://x:{PASSWORD}@127.0.0.1:{listening.getsockname()[1]}/x?sslmode=disable"
        for client in waiting:
            client.close()


SITUATIONS: dict[str, tuple[Any, str, str]] = {
    "too many connections of the role": (limited, "no connection left", "transaction pooler"),
    "a role without LOGIN": (without_login, "no LOGIN yet", "reminders roles --from-secrets"),
    "max_client_conn of the pooler": (full_pooler, "no connection left", "dashboard"),
    "options= through the pooler": (startup_parameter, "refuses a parameter of the URI", "Take options="),
    "a user that the pooler does not know": (unknown_to_the_pooler, "", "ROLE.PROJECT"),
    "a web server": (
        lambda s, d: answering(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        "no PostgreSQL",
        "Compare host and port",
    ),
    "a server that hangs up": (lambda s, d: answering(b""), "closed the connection", "restarting"),
}


@table("case", SITUATIONS)
def test_a_situation_has_a_hint(case: str, server: Server, template: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The same, where the server or the pooler is in it as well."""
    make, what, hint = SITUATIONS[case]
    if "pooler" in case and not installed():
        pytest.skip("pgbouncer is not installed (Debian: apt install pgbouncer)")
    with make(server, template) as where:
        said = printed(where, capsys)
    assert (True, True) == (what in said, hint in said), said


def test_no_answer(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A firewall that drops packets, or a paused project: over after 5 s."""
    assert (
        f"no answer within {database_module.CONNECT_TIMEOUT_SECONDS} s"
        == unreachable.of_connection("timeout expired").what
    )
    with answering(None) as where:
        said = printed(f"{where}&connect_timeout=2", capsys)
    assert ("no answer" in said, "paused" in said) == (True, True), said


# Supavisor is not here, nor a server with TLS: their words, as Supabase's users report them.
SUPAVISOR = {
    'root certificate file "/x/root.crt" does not exist': "no TLS connection could be made: its certificate",
    "SSL error: certificate verify failed": "no TLS connection could be made: its certificate",
    "FATAL: Tenant or user not found": "it does not know the user",
    "FATAL: (ENOTFOUND) tenant/user cron_runner.x not found": "it does not know the user",
    "FATAL: no tenant identifier provided (external_id or sni_hostname required)": "it does not know the user",
    "FATAL: MaxClientsInSessionMode: max clients reached - in Session mode max clients are limited to pool_size":
        "it has no connection left",
    "FATAL: (EMAXCONNSESSION) max clients reached in session mode": "it has no connection left",
    "FATAL: Max client connections reached": "it has no connection left",
    "FATAL: (ECIRCUITBREAKER) too many authentication failures": "the pooler refuses logins for some minutes",
    "FATAL: SSL connection is required": "it refuses a connection without TLS",
    'FATAL: no pg_hba.conf entry for host "203.0.113.9", user "x", database "x", no encryption':
        "it refuses a connection without TLS",
}  # fmt: skip


@table("text", SUPAVISOR)
def test_words_of_supabases_pooler(text: str) -> None:
    """Known, though it is not here to be tried."""
    found = unreachable.of_connection(f'connection to server at "203.0.113.1", port 6543 failed: {text}')
    assert (True, True) == (found.what.startswith(SUPAVISOR[text]), bool(found.hint))


def test_a_password_with_a_hash_migrates(
    server: Server, template: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """libpq takes it as it is; dbmate gets it percent-encoded."""
    from psycopg import conninfo

    from ops.cli.commands.migrate import _encoded

    given = f"postgresql://postgres.ref:{PASSWORD}#x:y@[::1]:5432/postgres?sslmode=require"
    found = conninfo.conninfo_to_dict(given)
    assert found == conninfo.conninfo_to_dict(_encoded(dict(found)))
    assert "#" not in _encoded(dict(found))
    assert 3 == main(["migrate", "--check", "--database", f"postgresql://x:{PASSWORD}#x@127.0.0.1:1/x"])
    assert PASSWORD not in capsys.readouterr().err
