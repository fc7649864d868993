"""
The run lock: an advisory lock that is a lease.

    BEGIN ─▶ lease and lock, one statement ─▶ (the run works, this connection waits) ─▶ ROLLBACK

The lock is held by an open transaction of its own, so a crash frees it, and a transaction pooler cannot give it to
another client. A process that is paused during a run cannot free it. PostgreSQL then ends the idle transaction when
the lease is over (`idle_in_transaction_session_timeout`). Nothing may be executed on this
connection while the lock is held: each statement would start the lease again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from reminders import database
from reminders.database import Connection, Queries
from reminders.limits import LIMITS, Limits
from reminders.runs import JOB_NAME
from reminders.telemetry import logger

# The first 8 bytes of SHA-256 of the job name, as a signed big-endian bigint (docs/architecture.md#lock-key).
LOCK_KEY = int.from_bytes(hashlib.sha256(JOB_NAME.encode()).digest()[:8], "big", signed=True)

queries = Queries(__package__, "lock.sql")


class RunLock:
    """The lock of the job, on a connection that serves nothing else."""

    def __init__(self, connection: Connection, limits: Limits = LIMITS) -> None:
        self._connection = connection
        self._limits = limits

    @contextmanager
    def lease(self, seconds: float) -> Iterator[bool]:
        """
        Try to take the lock without waiting; yield whether it was taken, and free it at the end.

        PostgreSQL frees it `Limits.lease_grace` after `seconds` in any case. Losing it early is logged, not
        raised: the fence protects the dispatch (docs/architecture.md#fence).
        """
        lease_ms = int((seconds + self._limits.lease_grace) * 1000)
        with database.errors_translated():
            self._connection.execute("BEGIN")
        locked = bool(queries.value(self._connection, "try_run_lock", key=LOCK_KEY, lease_ms=str(lease_ms)))
        try:
            yield locked
        finally:
            self._free(locked)

    def _free(self, locked: bool) -> None:
        try:
            self._connection.execute("ROLLBACK")
        except psycopg.Error as error:
            # The run's own error is more important than this one (docs/architecture.md#original-error).
            if locked:
                logger.warning("run lock was lost before the run ended", extra={"reason": database.describe(error)})
