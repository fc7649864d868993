"""
The main job, measured inside the cron function with HTTP, and other ways, all on one server and the same data.

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
from ops.tools.bench import contenders, data, watch

Row = dict[str, object]
Table = list[Row]
DAY = datetime.now(UTC).date() - timedelta(2)
SECONDS = 900.0
MAIN_JOB = "Main job, handler in to handler out"
CLUSTERED = "Clustered ids: all assignments in one shard"
# The largest size that each is worth waiting for, and how often it is tried; times are medians.
LARGEST = {"executemany": 1_000_000, "row by row": 100_000, "procrastinate": 10_000}
ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Bench:
    """A running stack; `database` belongs to the tables' owner."""

    stack: LocalStack
    database: psycopg.Connection[Any]
    watch: watch.Watch
    say: Callable[[str], None]

    def run(self, day: date, shards: int) -> Any:
        """Invoke the cron function for `day`; give its summary."""
        os.environ["SCHEDULER_SHARDS"] = str(shards)
        return self.stack.invoke(_event(day), seconds=SECONDS)


@contextmanager
def started(most_shards: int, say: Callable[[str], None]) -> Iterator[Bench]:
    """Everything started, warm, and ended."""
    with (
        LocalStack.start(watch.COUNT_STATEMENTS, SCHEDULER_SHARDS=str(most_shards)) as stack,
        stack.connect() as database,
        psycopg.connect(stack.server.dsn(stack.server.superuser, stack.database), autocommit=True) as superuser,
    ):
        os.environ.update(stack.environment)
        for _ in range(2 * most_shards):  # modules imported and secrets cached, in every process
            stack.invoke({"dry_run": True})
        yield Bench(stack, database, watch.Watch(superuser), say)


def measure(bench: Bench, sizes: list[int], shards: list[int]) -> dict[str, Table]:
    """The main job at each size with each number of shards."""
    tables: dict[str, Table] = {MAIN_JOB: []}
    for size in sizes:
        for count in shards:
            tables[MAIN_JOB] += _main_job(bench, size, count)
    if max(shards) > 1:
        tables[CLUSTERED] = _clustered(bench, max(sizes), shards)
    return tables


def compare(bench: Bench, sizes: list[int], shards: list[int], *, peers: bool) -> dict[str, Table]:
    """The main job beside a floor and, with `peers`, beside other ways, a table for each size."""
    return {_contenders_title(size): _contenders(bench, size, shards, peers=peers) for size in sizes}


def _main_job(bench: Bench, size: int, shards: int, ids: data.Ids = "random") -> Table:
    bench.say(f"{size:,} assignments, {shards} shard(s), {ids} ids …")
    data.fill(bench.database, size, DAY, ids)
    days = [("half due", DAY), ("4 % newly due", DAY + timedelta(1)), ("nothing due", DAY + timedelta(1))]
    rows = [_one_run(bench, size, shards, name, day) for name, day in days]
    data.empty_notifications(bench.database)
    cron_peak = _megabytes(_cron_peak(bench, shards))
    return [{**row, "cron peak MB": cron_peak} for row in rows]


def _one_run(bench: Bench, size: int, shards: int, name: str, day: date) -> Row:
    watch.forget_peaks()
    with bench.watch.cost() as cost:
        began = perf_counter()
        summary = bench.run(day, shards)
        took = perf_counter() - began
    return {
        "assignments": size,
        "shards": shards,
        "day": name,
        "dispatched": summary["reminders_dispatched"],
        "ms": round(took * 1000, 1),
        "µs per assignment": round(took / size * 1e6, 2),
        "statements": cost.statements,
        "WAL MB": _megabytes(cost.wal_bytes),
        "scheduler peak MB": _megabytes(watch.scheduler_peak()),
    }


def _cron_peak(bench: Bench, shards: int) -> int:
    """Bytes, in a process of its own; this one has the whole stack in it."""
    bench.stack.environment["SCHEDULER_SHARDS"] = str(shards)
    with bench.stack.invoke_process(_event(DAY), seconds=SECONDS) as process:
        return watch.peak_of(process)


def _contenders_title(size: int) -> str:
    return f"Contenders at {size:,} assignments, half due"


def _contenders(bench: Bench, size: int, shards: list[int], *, peers: bool) -> Table:
    """Each from empty notifications, in one go; round by round, so that a slow minute slows all of them."""
    data.fill(bench.database, size, DAY)
    contenders.prepare_floor(bench.database, DAY)
    todo = dict(_all_contenders(bench, size, shards, peers=peers))
    times: dict[str, list[float]] = {name: [] for name in todo}
    for turn in range(ROUNDS):
        for name, work in todo.items():
            if turn == 0 or name != contenders.PROCRASTINATE:
                bench.say(f"  {name} …")
                times[name].append(_timed(bench, work))
    contenders.drop_floor(bench.database)
    medians = {name: statistics.median(taken) for name, taken in times.items()}
    ours = next(iter(medians.values()))
    return [
        {
            "contender": name,
            "seconds": round(median, 3),
            "fastest": round(min(times[name]), 3),
            "times this job": round(median / ours, 2),
        }
        for name, median in medians.items()
    ]


def _all_contenders(
    bench: Bench, size: int, shards: list[int], *, peers: bool
) -> Iterator[tuple[str, Callable[[], object]]]:
    database = bench.database
    for count in shards:
        yield f"this job, {count} shard(s)", lambda count=count: bench.run(DAY, count)  # type: ignore[misc]
    yield "floor: bare INSERT … SELECT of the same rows", lambda: contenders.floor(database, DAY)
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


def _clustered(bench: Bench, size: int, shards: list[int]) -> Table:
    """A skewed id space: correct whatever the shards, and what it costs."""
    return [row for count in shards for row in _main_job(bench, size, count, "clustered")]


def _event(day: date) -> dict[str, str]:
    return {"action": "run", "as_of": day.isoformat()}


def _megabytes(amount: int) -> float:
    return round(amount / 2**20, 1)
