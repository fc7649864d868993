"""
What the contact hook costs. `python -m ops.tools.bench.contact_hook` compares ways to build it; `make bench` takes one.

Row and statement triggers, on one activity and on 10,000 in one statement, among 100,000 assignments of
which half have an open notification. Each figure is the median, in milliseconds; every insert is rolled back.
"Single after bulk" is one activity in a session that has just inserted 10,000: the plan that it keeps.
"""

from __future__ import annotations

import statistics
import time
from datetime import UTC, datetime
from typing import Any

import psycopg

from ops.local.database import create_database, drop_database, prepare_template
from ops.local.seed import seed
from ops.local.server import MIGRATOR, Server, any_server
from ops.tools.bench import times
from reminders.database import Queries

ASSIGNMENTS = 100_000
BULK = 10_000
queries = Queries(__package__, "contact_hook.sql")

# What is done to the migrated schema first.
VARIANTS: dict[str, tuple[str, ...]] = {
    "no hook": ("no_hook",),
    "as migrated: statement, row": (),
    "row, row": ("hook_for_each_row",),
    "statement, statement": ("settle_for_each_statement",),
    "row, statement": ("hook_for_each_row", "settle_for_each_statement"),
}


def main() -> None:
    with any_server() as server:
        filled = _filled(server)
        print(f"PostgreSQL {server.version}, {ASSIGNMENTS:,} assignments; triggers on activities, assignments")
        print(f"{'ms':30}{'one row':>10}{f'{BULK:,} rows':>14}{'single after bulk':>20}{'bulk after single':>20}")
        for name, changes in VARIANTS.items():
            database = create_database(server, "bench_variant", filled)
            print(f"{name:30}" + _figures(server.dsn(MIGRATOR, database), changes), flush=True)
            drop_database(server, database)


def measure() -> list[dict[str, object]]:
    """The hook as migrated, on one activity and on many: median and p99 in milliseconds, beside the limit."""
    with any_server() as server, psycopg.connect(server.dsn(MIGRATOR, _filled(server)), autocommit=True) as connection:
        return [
            times.row("contact hook, one activity", _taken(connection, 1, 200), 10),
            times.row(f"contact hook, {BULK:,} activities in one statement", _taken(connection, BULK, 20), 2_000),
        ]


def _filled(server: Server) -> str:
    database = create_database(server, "bench_filled", prepare_template(server))
    with psycopg.connect(server.dsn(MIGRATOR, database), autocommit=True) as connection:
        seed(connection, assignments=ASSIGNMENTS, today=datetime.now(UTC).date())
        connection.execute(queries.by_name["fill"], {})
        connection.execute("ANALYZE notifications")
    return database


def _figures(dsn: str, changes: tuple[str, ...]) -> str:
    with psycopg.connect(dsn, autocommit=True) as connection:
        for change in changes:
            connection.execute(queries.by_name[change])
    one, bulk_after = _in_one_session(dsn, first=(1, 200), then=(BULK, 5))
    bulk, one_after = _in_one_session(dsn, first=(BULK, 5), then=(1, 200))
    return f"{one:10.2f}{bulk:14.0f}{one_after:20.2f}{bulk_after:20.0f}"


def _in_one_session(dsn: str, first: tuple[int, int], then: tuple[int, int]) -> tuple[float, float]:
    with psycopg.connect(dsn, autocommit=True, prepare_threshold=None) as connection:
        connection.execute("SET statement_timeout = '60s'")
        return statistics.median(_taken(connection, *first)), statistics.median(_taken(connection, *then))


def _taken(connection: psycopg.Connection[Any], rows: int, rounds: int) -> list[float]:
    """Milliseconds of one statement with `rows` rows, rolled back each time."""
    took = []
    for skip in range(0, rounds * 2, 2):
        with connection.transaction(force_rollback=True):
            began = time.perf_counter()
            connection.execute(queries.by_name["log"], {"rows": rows, "skip": skip})
            took.append((time.perf_counter() - began) * 1000)
    return took


if __name__ == "__main__":
    main()
