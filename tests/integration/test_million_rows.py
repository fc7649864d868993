"""With a million rows in the ledger, a run's own queries still touch a handful of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest

from ops.local.server import MIGRATOR, Server
from reminders.alerts import outbox
from reminders.database import Connection
from reminders.runs import watchdog
from reminders.runs.ledger import queries
from tests.factories import TICK
from tests.helpers.connections import connect_as
from tests.integration.query_values import VALUES

pytestmark = pytest.mark.matrix
ROWS = 1_000_000
INDEXES = (
    "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'cron_execution_logs' AND indexname NOT LIKE '%_pkey'"
)
# Every minute one, the newest at TICK. One in ten failed, the last half a million without a single success.
FILL = """
INSERT INTO cron_execution_logs (id, job_name, trigger_source, scheduled_for, started_at, completed_at, status,
    error_message, consecutive_failure_count)
SELECT lpad(to_hex(n), 32, '0')::uuid, 'assignment-reminder-cron', 'schedule', moment, moment, moment,
    CASE WHEN n >= 500000 OR n %% 10 = 0 THEN 'failed' ELSE 'success' END,
    CASE WHEN n >= 500000 OR n %% 10 = 0 THEN 'it broke' END,
    CASE WHEN n >= 500000 OR n %% 10 = 0 THEN 1 ELSE 0 END
FROM generate_series(1, %(rows)s) AS n, LATERAL (
    SELECT %(tick)s::timestamptz - (%(rows)s - n) * interval '1 minute'
) AS m (moment)
"""


@pytest.fixture(scope="module")
def ledger(server: Server, module_database: str) -> Iterator[Connection]:
    """Filled as the owner, in one statement; its indexes are made afterwards, which is three times as fast."""
    with psycopg.connect(server.dsn(MIGRATOR, module_database), autocommit=True) as owner:
        with owner.transaction():
            indexes = owner.execute(INDEXES.encode()).fetchall()
            for name, _ in indexes:
                owner.execute(f"DROP INDEX {name}".encode())
            owner.execute(FILL.encode(), {"rows": ROWS, "tick": TICK})
            for _, definition in indexes:
                owner.execute(definition.encode())
        owner.execute("VACUUM (ANALYZE) cron_execution_logs")
    with connect_as(server, module_database, "cron_runner") as connection:
        yield connection


def plan(connection: Connection, query: bytes, **values: Any) -> dict[str, Any]:
    """The plan as it ran, rolled back after."""
    with connection.transaction(force_rollback=True):
        explain = b"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + query
        row = connection.execute(explain, {**VALUES, **values}).fetchone()
    assert row
    found: dict[str, Any] = row[0][0]
    return found


def indexes_of(plan: dict[str, Any]) -> set[str]:
    return set(re.findall(r'"Index Name": "(\w+)"', json.dumps(plan)))


def pages(plan: dict[str, Any]) -> int:
    return int(plan["Plan"]["Shared Hit Blocks"]) + int(plan["Plan"]["Shared Read Blocks"])


def assert_cheap(plan: dict[str, Any], *indexes: str) -> None:
    assert "Seq Scan" not in json.dumps(plan)
    assert set(indexes) <= indexes_of(plan)
    assert pages(plan) < 60
    assert plan["Execution Time"] < 500  # ms; a busy machine takes longer than this one's 1


def add_running(connection: Connection, moment: datetime) -> UUID:
    row = connection.execute(
        queries.by_name["open_run"], {**VALUES, "scheduled_for": moment, "status": "running"}
    ).fetchone()
    assert row
    return UUID(str(row[0]))


@pytest.mark.parametrize("status", ["success", "failed"])
def test_settling(ledger: Connection, status: str) -> None:
    """The row by primary key or among the running ones, which are few: a few pages, however long the ledger."""
    run_id = add_running(ledger, TICK + timedelta(minutes=1))
    error = "it broke" if status == "failed" else None
    found = plan(ledger, queries.by_name["settle_run"], run_id=run_id, status=status, error_message=error)
    assert_cheap(found)
    assert indexes_of(found) & {"cron_execution_logs_pkey", "cron_execution_logs_running_idx"}


def test_settling_a_retry_after_half_a_million_failures(ledger: Connection) -> None:
    """The last success was long ago, and the tick has failed before: still no walk through the failures."""
    run_id = add_running(ledger, TICK)
    found = plan(ledger, queries.by_name["settle_run"], run_id=run_id, status="failed")
    assert_cheap(
        found,
        "cron_execution_logs_started_at_idx",
        "cron_execution_logs_success_idx",
        "cron_execution_logs_tick_idx",
    )


def test_last_success_and_last_tick(ledger: Connection) -> None:
    """As the watchdog asks for them, after half a million failures."""
    found = plan(ledger, watchdog.queries.by_name["last_runs"])
    assert_cheap(found, "cron_execution_logs_success_idx", "cron_execution_logs_tick_idx")


def test_rows_of_a_scheduled_time(ledger: Connection) -> None:
    """Whether EventBridge and Lambda did their part."""
    tick = TICK - timedelta(minutes=900_001)
    assert_cheap(plan(ledger, watchdog.queries.by_name["tick_rows"], tick=tick), "cron_execution_logs_tick_idx")


def test_beginning_of_an_outage(ledger: Connection) -> None:
    """The first of half a million failures, found from the last success on."""
    last_success = TICK - timedelta(minutes=ROWS - 499_999)
    found = plan(ledger, outbox.queries.by_name["failing_since"], after=last_success)
    assert_cheap(found, "cron_execution_logs_started_at_idx")


def test_newest_rows(ledger: Connection) -> None:
    """The run history's first page."""
    query = b"SELECT id, status FROM cron_execution_logs ORDER BY started_at DESC LIMIT 10"
    assert_cheap(plan(ledger, query), "cron_execution_logs_started_at_idx")


def test_newest_rows_of_an_admin(server: Server, module_database: str, ledger: Connection) -> None:
    """Through the view, under row level security: the claim is read once a query, not once a row."""
    with connect_as(server, module_database, "authenticated") as admin:
        claims = json.dumps({"role": "authenticated", "app_metadata": {"role": "admin"}})
        admin.execute("SELECT set_config('request.jwt.claims', %s, false)", [claims])
        query = b"SELECT * FROM cron_execution_log ORDER BY triggered_at DESC LIMIT 10"
        plan(admin, query)  # the session's first call reads the catalog to plan the function of the policy
        found = plan(admin, query)
        assert_cheap(found, "cron_execution_logs_started_at_idx")
        assert 10 == found["Plan"]["Actual Rows"]


def test_tick_that_is_done(ledger: Connection) -> None:
    """Whether a tick succeeded is one look into an index, while its row is written."""
    tick = TICK - timedelta(minutes=900_001)
    opening = {"event_id": None, "trigger_source": "schedule", "scheduled_for": tick}
    assert_cheap(plan(ledger, queries.by_name["open_run"], **opening), "cron_execution_logs_tick_idx")


def test_abandoned_rows(ledger: Connection) -> None:
    """None is found by looking at none."""
    found = plan(ledger, queries.by_name["running_runs"])
    assert_cheap(found, "cron_execution_logs_running_idx")
