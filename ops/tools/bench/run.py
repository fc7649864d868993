"""
The main job, handler in to handler out over HTTP, and its contenders, all on one server and the same data.

The cron function is invoked in this process; each shard's scheduler is a process of its own.
"""

from __future__ import annotations

import logging
import os
import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from time import perf_counter
from typing import Any

import psycopg

from ops.local.stack import LocalStack
from ops.tools.bench import contenders, data, times, watch

Row = dict[str, object]
Table = list[Row]
DAY = datetime.now(UTC).date() - timedelta(2)
SECONDS = 900.0
SCHEDULERS = 4  # the most shards of SCHEDULER_SHARDS=auto
RELATIONS = """
SELECT c.relname, CASE t.relname WHEN 'assignments' THEN a.n ELSE s.n END, pg_relation_size(c.oid)
FROM pg_class AS t
JOIN LATERAL (SELECT t.oid UNION ALL SELECT indexrelid FROM pg_index WHERE indrelid = t.oid) AS r ON true
JOIN pg_class AS c ON c.oid = r.oid
CROSS JOIN (SELECT count(*) AS n FROM assignments) AS a
CROSS JOIN (SELECT count(*) AS n FROM notifications) AS s
WHERE t.oid IN ('assignments'::regclass, 'notifications'::regclass)
ORDER BY t.relname, c.relkind DESC, c.relname
"""
MAIN_JOB = "Main job, handler in to handler out"
SPACE = "Space on disk, half of the assignments notified"
WARM = "A warm run without news"
OURS, FLOOR = "this job", "floor: bare INSERT … SELECT of the same rows"
# The largest size that each is worth waiting for, and how often it is tried; times are medians.
LARGEST = {"executemany": 100_000, "row by row": 100_000, "procrastinate": 10_000}
ROUNDS = 3
WARM_RUNS = 40


@dataclass(frozen=True, slots=True)
class Bench:
    """A running stack; `database` belongs to the tables' owner, `superuser` reads the server's statistics."""

    stack: LocalStack
    database: psycopg.Connection[Any]
    superuser: psycopg.Connection[Any]
    say: Callable[[str], None]

    def run(self, day: date = DAY) -> Any:
        """Invoke the cron function for `day`; give its summary."""
        return self.stack.invoke(_event(day), seconds=SECONDS)


@contextmanager
def started(largest: int, say: Callable[[str], None]) -> Iterator[Bench]:
    """Everything started, warm, and ended. `largest`: assignments at most."""
    settings = watch.COUNT_STATEMENTS | (watch.FOR_LARGE_TABLES if largest > 1_000_000 else {})
    with (
        LocalStack.start(settings, SCHEDULER_SHARDS=str(SCHEDULERS)) as stack,
        stack.connect() as database,
        psycopg.connect(stack.server.dsn(stack.server.superuser, stack.database), autocommit=True) as superuser,
    ):
        os.environ.update(stack.environment)
        data.fill(database, 100, DAY)
        for _ in range(2 * SCHEDULERS):  # modules imported and secrets cached, in every process
            stack.invoke({"dry_run": True})
        os.environ["SCHEDULER_SHARDS"] = stack.environment["SCHEDULER_SHARDS"] = "auto"
        yield Bench(stack, database, superuser, say)


def measure(bench: Bench, sizes: list[int]) -> dict[str, Table]:
    """The main job at each size, and with time-ordered ids at the largest; and the fixed cost of a run."""
    tables = {MAIN_JOB: [row for size in sizes for row in _main_job(bench, size, "random")]}
    tables[SPACE] = _space(bench)
    tables[MAIN_JOB] += _main_job(bench, max(sizes), "time-ordered")
    return tables | {WARM: _warm(bench)}


def compare(bench: Bench, sizes: list[int], *, peers: bool = True) -> dict[str, Table]:
    """The main job beside a floor and, with `peers`, beside other ways, a table for each size."""
    tables = {_title(size, "random"): _contenders(bench, size, "random", peers=peers) for size in sizes}
    return tables | {_title(max(sizes), "time-ordered"): _contenders(bench, max(sizes), "time-ordered", peers=False)}


def _space(bench: Bench) -> Table:
    """Of the tables and their indexes as the last run left them."""
    return [
        {"what": name, "rows": rows, "MB": _megabytes(size), "bytes a row": round(size / max(1, rows))}
        for name, rows, size in bench.database.execute(RELATIONS)
    ]


def _warm(bench: Bench) -> Table:
    """What each run costs, whatever its size."""
    bench.say("a warm run …")
    data.fill(bench.database, 1_000, DAY)
    bench.run()
    taken = times.taken(bench.run, WARM_RUNS)
    row = times.row("1,000 assignments, nothing due", taken, 25)
    return [{**row, "fastest ms": round(min(taken), 1)}]


def _main_job(bench: Bench, size: int, ids: data.Ids) -> Table:
    bench.say(f"{size:,} assignments, {ids} ids …")
    data.fill(bench.database, size, DAY, ids)
    days = [("half due", DAY), ("4 % newly due", DAY + timedelta(1)), ("nothing due", DAY + timedelta(1))]
    rows = [_one_run(bench, size, ids, name, day) for name, day in days]
    data.empty_notifications(bench.database)
    cron_peak = _megabytes(_cron_peak(bench))
    return [{**row, "cron peak MB": cron_peak} for row in rows]


def _one_run(bench: Bench, size: int, ids: data.Ids, name: str, day: date) -> Row:
    watch.forget_peaks()
    with watch.cost(bench.superuser) as cost:
        began = perf_counter()
        summary = bench.run(day)
        took = perf_counter() - began
    return {
        "assignments": size,
        "ids": ids,
        "day": name,
        "dispatched": summary["reminders_dispatched"],
        "ms": round(took * 1000, 1),
        "µs per assignment": round(took / size * 1e6, 2),
        "statements": cost.statements,
        "WAL MB": _megabytes(cost.wal_bytes),
        "scheduler peak MB": _megabytes(watch.scheduler_peak()),
    }


def _cron_peak(bench: Bench) -> int:
    """Bytes, in a process of its own; this one has the whole stack in it."""
    with bench.stack.invoke_process(_event(DAY), seconds=SECONDS) as process:
        return watch.peak_of(process)


def _title(size: int, ids: data.Ids) -> str:
    return f"Contenders at {size:,} assignments, half due" + (f", {ids} ids" if ids != "random" else "")


def _contenders(bench: Bench, size: int, ids: data.Ids, *, peers: bool) -> Table:
    """Each from empty notifications, in one go; round by round, so that a slow minute affects all of them."""
    data.fill(bench.database, size, DAY, ids)
    contenders.prepare_floor(bench.database, DAY)
    todo = dict(_all_contenders(bench, size, peers=peers))
    taken: dict[str, list[float]] = {name: [] for name in todo}
    for turn in range(ROUNDS):
        for name, work in todo.items():
            if turn == 0 or name != contenders.PROCRASTINATE:
                bench.say(f"  {name} …")
                taken[name].append(_timed(bench, work))
    contenders.drop_floor(bench.database)
    medians = {name: statistics.median(each) for name, each in taken.items()}
    return [
        {
            "contender": name,
            "seconds": round(median, 3),
            "fastest": round(min(taken[name]), 3),
            "times the floor": round(median / medians[FLOOR], 2),
            "times this job": round(median / medians[OURS], 2),
        }
        for name, median in medians.items()
    ]


def _all_contenders(bench: Bench, size: int, *, peers: bool) -> Iterator[tuple[str, Callable[[], object]]]:
    database = bench.database
    yield OURS, bench.run
    yield FLOOR, lambda: contenders.floor(database, DAY)
    if peers and size <= LARGEST["executemany"]:
        yield "fetch, decide in Python, executemany", lambda: contenders.fetch_and_executemany(database, DAY)
    if peers and size <= LARGEST["row by row"]:
        yield "a loop, row by row", lambda: contenders.row_by_row(database, DAY)
    if peers and size <= LARGEST["procrastinate"]:
        logging.getLogger("procrastinate").setLevel(logging.ERROR)
        yield contenders.PROCRASTINATE, contenders.procrastinate(bench.stack.owner_dsn, DAY)


def _timed(bench: Bench, work: Callable[[], object]) -> float:
    data.empty_notifications(bench.database)
    contenders.empty_floor(bench.database)
    began = perf_counter()
    work()
    return perf_counter() - began


def _event(day: date) -> dict[str, str]:
    return {"action": "run", "as_of": day.isoformat()}


def _megabytes(amount: int) -> float:
    return round(amount / 2**20, 1)
