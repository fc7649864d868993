"""What a run cost besides time: statements, WAL, and the most memory that each process had."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import psycopg

from ops.local.stack import SCHEDULER

# For a server of our own. Nested statements are not counted: a foreign key's look-ups are the same for everyone.
COUNT_STATEMENTS = {"shared_preload_libraries": "pg_stat_statements", "pg_stat_statements.track": "top"}
# A quarter of the memory, as PostgreSQL's documentation advises ("Resource Consumption", shared_buffers). For tables
# that do not fit into what the local server has.
FOR_LARGE_TABLES = {"shared_buffers": f"{psutil.virtual_memory().total // 4 // 2**20}MB"}
STATEMENTS = """
SELECT coalesce(sum(calls), 0) FROM pg_stat_statements
WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND query NOT LIKE '%pg\\_stat%'
"""
WAL = "SELECT pg_current_wal_lsn() - '0/0'"


@dataclass(slots=True)
class Cost:
    """Filled when the watch is over. `statements` is None where the server does not count them."""

    wal_bytes: int = 0
    statements: int | None = None


@contextmanager
def cost(connection: psycopg.Connection[Any]) -> Iterator[Cost]:
    """
    What the server does within the block, by its own statistics; it must have no other work.

    `connection` is a superuser's, in the database that is watched, and autocommits.
    """
    found = Cost()
    counts = _reset_statements(connection)
    before = _value(connection, WAL)
    yield found
    found.wal_bytes = _value(connection, WAL) - before
    if counts:
        found.statements = _value(connection, STATEMENTS)


def _reset_statements(connection: psycopg.Connection[Any]) -> bool:
    """Whether the server counts statements, now from 0."""
    try:
        connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        connection.execute("SELECT pg_stat_statements_reset()")
    except psycopg.Error:
        return False
    return True


def _value(connection: psycopg.Connection[Any], query: str) -> int:
    row = connection.execute(query.encode()).fetchone()
    assert row
    return int(row[0])


def scheduler_peak() -> int:
    """Bytes: the most that a scheduler process below this one has had in memory."""
    return max(map(_peak, _schedulers()), default=0)


def forget_peaks() -> None:
    """Let the schedulers' peaks begin anew (Linux, proc_pid_clear_refs(5))."""
    for process in _schedulers():
        with suppress(OSError):
            Path(f"/proc/{process.pid}/clear_refs").write_text("5")


def peak_of(process: subprocess.Popen[str]) -> int:
    """Bytes: the most that `process` has in memory until it ends."""
    peak = 0
    watched = psutil.Process(process.pid)
    while process.poll() is None:
        peak = max(peak, _peak(watched))
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.02)
    return peak


def _schedulers() -> list[psutil.Process]:
    return [child for child in psutil.Process().children(recursive=True) if SCHEDULER in _command(child)]


def _command(process: psutil.Process) -> list[str]:
    with suppress(psutil.Error):
        return process.cmdline()
    return []


def _peak(process: psutil.Process) -> int:
    """Linux's VmHWM; 0 where there is none, or the process is gone."""
    with suppress(OSError, IndexError):
        status = Path(f"/proc/{process.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) * 1024
    return 0
