"""The main job, handler in to handler out over HTTP, and its contenders."""

from __future__ import annotations

import logging
import os
import statistics
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import Any

import psutil
import psycopg

from ops.bench import contenders, data
from ops.local.stack import LocalStack

Table = list[dict[str, object]]
DAY = datetime.now(UTC).date() - timedelta(2)
SECONDS = 900.0


@dataclass(slots=True)
class Bench:
    """A running stack, and a connection of the tables' owner."""

    stack: LocalStack
    database: psycopg.Connection[Any]
    say: Callable[[str], None]


def measure(sizes: list[int], shards: list[int], *, peers: bool, say: Callable[[str], None]) -> dict[str, Table]:
    """All tables of the main job."""
    tables: dict[str, Table] = {"Main job, handler in to handler out": []}
    for count in shards:
        with LocalStack.start(SCHEDULER_SHARDS=str(count)) as stack, stack.connect() as database:
            os.environ.update(stack.environment)
            stack.invoke({"dry_run": True})  # a warm process: modules imported, secrets cached
            bench = Bench(stack, database, say)
            for size in sizes:
                tables["Main job, handler in to handler out"] += _main_job(bench, size, count)
                if count == shards[0]:
                    title = f"Contenders at {size:,} assignments, half due"
                    tables[title] = _contenders(bench, size, peers=peers and size <= 10_000)
    return tables


def _main_job(bench: Bench, size: int, shards: int) -> Table:
    bench.say(f"{size:,} assignments, {shards} shard(s) …")
    data.fill(bench.database, size, DAY)
    days = [("half due", 0), ("4 % newly due", 1), ("nothing due", 1)]
    return [_one_run(bench, size, shards, name, DAY + timedelta(day)) for name, day in days]


def _one_run(bench: Bench, size: int, shards: int, name: str, day: date) -> dict[str, object]:
    before = _counters(bench.database)
    began = perf_counter()
    summary = bench.stack.invoke({"action": "run", "as_of": day.isoformat()}, seconds=SECONDS)
    took = perf_counter() - began
    wal, commits = (now - then for now, then in zip(_counters(bench.database), before, strict=True))
    return {
        "assignments": size,
        "shards": shards,
        "day": name,
        "dispatched": summary["reminders_dispatched"],
        "ms": round(took * 1000, 1),
        "µs per assignment": round(took / size * 1e6, 2),
        "transactions": commits,
        "WAL MB": round(wal / 2**20, 1),
        "scheduler peak MB": round(_scheduler_peak() / 2**20),
    }


def _contenders(bench: Bench, size: int, *, peers: bool) -> Table:
    """Each from empty notifications, in one go, one after the other."""
    database, rows = bench.database, Table()

    def add(name: str, work: Callable[[], object], rounds: int = 3) -> None:
        bench.say(f"  {name} …")
        times = []
        for _ in range(rounds if size <= 100_000 else 1):
            data.empty_notifications(database)
            contenders.prepare_floor(database, DAY)
            began = perf_counter()
            work()
            times.append(perf_counter() - began)
        rows.append({"contender": name, "seconds (median)": round(statistics.median(times), 3)})

    event = {"action": "run", "as_of": DAY.isoformat()}
    add("this job, over HTTP", lambda: bench.stack.invoke(event, seconds=SECONDS))
    add("floor: bare INSERT … SELECT of the same rows", lambda: contenders.floor(database, DAY))
    if peers:
        add("fetch, decide in Python, executemany", lambda: contenders.fetch_and_executemany(database, DAY))
        add("a loop, row by row", lambda: contenders.row_by_row(database, DAY))
        logging.getLogger("procrastinate").setLevel(logging.ERROR)
        add("procrastinate, a job an assignment", contenders.procrastinate(bench.stack.owner_dsn, DAY), rounds=1)
    contenders.drop_floor(database)
    ours = rows[0]["seconds (median)"]
    for row in rows:
        row["times this job"] = round(float(str(row["seconds (median)"])) / float(str(ours)), 2)
    return rows


def _counters(database: psycopg.Connection[Any]) -> tuple[int, int]:
    """WAL bytes and commits so far."""
    row = database.execute(
        "SELECT pg_current_wal_lsn() - '0/0', xact_commit FROM pg_stat_database WHERE datname = current_database()"
    ).fetchone()
    assert row
    return int(row[0]), int(row[1])


def _scheduler_peak() -> int:
    """Bytes: the most that any scheduler process of ours has had in memory (Linux: VmHWM)."""
    peaks = [0]
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.Error, OSError):
            if "handlers.scheduler:handler" in child.cmdline():
                status = Path(f"/proc/{child.pid}/status").read_text()
                peaks.append(int(status.split("VmHWM:")[1].split()[0]) * 1024)
    return max(peaks)
