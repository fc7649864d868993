"""The admin function's connection is a caller's for one transaction: it carries no claims before and after it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from ops.local.binaries import private_directory, unprivileged_user
from ops.local.postgres import free_port
from ops.local.server import Server
from reminders.contacts import correction
from reminders.contacts.correction import Request, VersionConflict, version
from reminders.database import Connection
from reminders.errors import AssignmentNotFound
from reminders.identity import Caller
from reminders.runs import history
from tests.contacts import MENTOR, ORG, add_pair, add_run, last_contact, one, today
from tests.helpers.connections import AsRole
from tests.helpers.waiting import eventually
from tests.tokens import claims

ANN, BOB = UUID(int=0xA1), UUID(int=0xB1)


def admin(user: UUID, *org_ids: UUID, **app: Any) -> Caller:
    limited = {"org_ids": [str(org) for org in org_ids]} if org_ids else {}
    return Caller.of(claims(user, app={"role": "admin", **limited, **app}))


def request(owner: Connection, pair: UUID, days: int) -> Request:
    """To so many days ago, replacing what stands now."""
    expected = frozenset({version(last_contact(owner, pair))})
    return Request(pair, today(owner) - timedelta(days=days), "Wrong day entered", expected)


def left_behind(connection: Connection) -> tuple[str, str]:
    """Role and claims outside of any transaction of a caller's."""
    row = connection.execute(
        "SELECT current_user::text, coalesce(current_setting('request.jwt.claims', true), '')"
    ).fetchone()
    assert row
    return row[0], row[1]


@pytest.fixture
def pooled(server: Server, template: str, database: str) -> Iterator[str]:
    """A PgBouncer in transaction mode with one server connection, as Supabase's pooler hands them out."""
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if program is None:
        pytest.skip("no pgbouncer on this machine")
    parts = psycopg.conninfo.conninfo_to_dict(server.dsn("contact_admin_api", database))
    # It refuses to run as root, as PostgreSQL does.
    user, port = unprivileged_user(), free_port()
    folder = private_directory(user)
    (folder / "users").write_text(f'"{parts["user"]}" "{parts["password"]}"\n')
    (folder / "ini").write_text(
        f"""
        [databases]
        * = host={parts["host"]} port={parts["port"]}
        [pgbouncer]
        listen_addr = 127.0.0.1
        listen_port = {port}
        unix_socket_dir =
        auth_type = trust
        auth_file = {folder / "users"}
        pool_mode = transaction
        default_pool_size = 1
        """
    )
    with subprocess.Popen(
        [program, "-q", str(folder / "ini")],
        cwd="/",
        stderr=subprocess.DEVNULL,
        user=user.pw_uid if user else None,
        group=user.pw_gid if user else None,
    ) as process:
        try:
            dsn = f"postgresql://contact_admin_api@127.0.0.1:{port}/{database}"
            assert eventually(lambda: _answers(dsn))
            yield dsn
        finally:
            process.terminate()
    shutil.rmtree(folder)


def _answers(dsn: str) -> bool:
    try:
        psycopg.connect(dsn).close()
    except psycopg.OperationalError:
        return False
    return True


def test_two_admins_through_a_pooler(owner: Connection, pooled: str) -> None:
    """Turn by turn on one server connection: each signs for themselves, and in between it carries no claims."""
    pairs = [add_pair(owner) for _ in range(4)]
    with (
        psycopg.connect(pooled, autocommit=True, prepare_threshold=None) as ann,
        psycopg.connect(pooled, autocommit=True, prepare_threshold=None) as bob,
    ):
        served = {one(client, "SELECT pg_backend_pid()") for client in (ann, bob)}
        signed = []
        for pair, (client, user) in zip(pairs, [(ann, ANN), (bob, BOB)] * 2, strict=True):
            signed.append(correction.correct(client, admin(user), request(owner, pair, 3)).corrected_by)
            other = bob if client is ann else ann
            assert left_behind(other) == ("contact_admin_api", "")
    assert len(served) == 1
    assert signed == [ANN, BOB, ANN, BOB]


def test_request_that_fails(owner: Connection, as_role: AsRole) -> None:
    """Neither role nor claims stay behind, and the next caller's organisations are the next caller's."""
    pair, connection = add_pair(owner), as_role("contact_admin_api")
    with pytest.raises(AssignmentNotFound):
        correction.correct(connection, admin(ANN, uuid4()), request(owner, pair, 3))
    assert left_behind(connection) == ("contact_admin_api", "")
    assert correction.correct(connection, admin(BOB, ORG), request(owner, pair, 3)).corrected_by == BOB
    with pytest.raises(AssignmentNotFound):
        correction.correct(connection, admin(ANN, uuid4()), request(owner, pair, 4))


def test_connection_without_a_caller(owner: Connection, as_role: AsRole) -> None:
    """contact_admin_api on its own can read nothing at all."""
    add_pair(owner)
    connection = as_role("contact_admin_api")
    for table in ("assignments", "cron_execution_logs", "contact_date_corrections"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(f"SELECT FROM {table}".encode())


def test_endpoint_that_does_not_check_the_claims(owner: Connection, as_role: AsRole) -> None:
    """The database checks again: claims that say no find no assignment, also where the caller sees it as its mentor."""
    pair, connection = add_pair(owner), as_role("contact_admin_api")
    add_run(owner)
    wanted = request(owner, pair, 3)
    mentor = Caller.of(claims(ANN, app={}))
    elsewhere = Caller(ANN, True, False, None, claims(ANN, app={"role": "admin", "org_ids": [str(uuid4())]}))
    for seen_by in (MENTOR, ANN):
        owner.execute("UPDATE assignments SET peer_mentor_id = %s", [seen_by])
        for caller in (mentor, elsewhere):
            with pytest.raises(AssignmentNotFound):
                correction.correct(connection, caller, wanted)
    assert history.page(connection, mentor, limit=10, before=None, status=None).runs == []
    assert one(owner, "SELECT count(*) FROM contact_date_corrections") == 0


def test_two_admins_at_once(owner: Connection, as_role: AsRole) -> None:
    """Both have seen the same date and write at the same moment: one corrects, the other learns that it moved."""
    pair = add_pair(owner, last=15)
    gate = as_role("postgres")
    wanted = {user: request(owner, pair, days) for user, days in ((ANN, 2), (BOB, 4))}
    sessions = {user: as_role("contact_admin_api") for user in wanted}
    with ThreadPoolExecutor(2) as pool:
        with gate.transaction():
            gate.execute("SELECT FROM assignments FOR UPDATE")
            both = {user: pool.submit(correction.correct, sessions[user], admin(user), wanted[user]) for user in wanted}
            assert eventually(lambda: all(is_blocked(owner, session) for session in sessions.values()), seconds=2)
        outcomes = {user: each.exception() for user, each in both.items()}
    (winner,) = [user for user, error in outcomes.items() if error is None]
    (loser,) = [user for user, error in outcomes.items() if isinstance(error, VersionConflict)]
    assert {winner, loser} == {ANN, BOB}
    assert last_contact(owner, pair) == wanted[winner].new_date
    assert one(owner, "SELECT array_agg(corrected_by) FROM contact_date_corrections") == [winner]


def is_blocked(watcher: Connection, session: Connection) -> bool:
    return bool(one(watcher, "SELECT cardinality(pg_blocking_pids(%s)) > 0", session.info.backend_pid))


def test_newest_page_of_a_long_ledger(owner: Connection, as_role: AsRole) -> None:
    """Neither the first page nor a later one reads the ledger: both walk the index."""
    owner.execute(
        """
        INSERT INTO cron_execution_logs (job_name, trigger_source, started_at, completed_at, status)
        SELECT 'assignment-reminder-cron', 'schedule', day, day, 'success'
        FROM generate_series(timestamptz '2024-01-01', '2026-01-01', '1 hour') AS day
        """
    )
    owner.execute("ANALYZE cron_execution_logs")
    connection, before = as_role("contact_admin_api"), None
    for _ in range(3):
        found = history.page(connection, admin(ANN), limit=10, before=before, status=None)
        before = found.next_before
        assert len(found.runs) == 10
    values = {"before": before, "status": None, "limit": 11}
    plan = owner.execute(b"EXPLAIN " + history.queries.by_name["page"], values).fetchall()
    assert "cron_execution_logs_started_at_idx" in str(plan)
