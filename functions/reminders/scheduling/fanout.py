"""
All shards of one run, in parallel. Each shard is called until it is done.

The shards share nothing but the totals. One that fails does not stop the others: their reminders are due,
too. The run then fails with the first shard's error, and keeps the counts of all.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from datetime import date
from http import HTTPStatus
from uuid import UUID

from reminders.database import Connection, Queries
from reminders.errors import DatabaseError, DeadlineExceeded, SchedulerError, safe_message
from reminders.limits import LIMITS, Limits
from reminders.scheduling.client import Scheduler
from reminders.scheduling.ids import assignment_id
from reminders.scheduling.work import DispatchRequest, RunTotals, Shard, shards_from
from reminders.telemetry import logger

queries = Queries(__package__, "fanout.sql")


def find_shards(connection: Connection, number: int | None) -> list[Shard]:
    """
    The open assignments in `number` shards of about equal size; None: in as many as they need.

    One shard if the database cannot say: a slow run is better than none.
    """
    if number == 1:
        return [Shard()]
    try:
        bounds = queries.value(connection, "shard_bounds", shards=number)
    except DatabaseError as error:
        logger.warning("the run is not divided into shards", extra={"reason": safe_message(error)})
        return [Shard()]
    return shards_from(map(assignment_id, bounds))


@dataclass(slots=True)
class _ShardProgress:
    """A shard's progress: what to call for next, and the error that ended its last call."""

    request: DispatchRequest
    error: BaseException | None = None

    def has_no_capacity(self) -> bool:
        return isinstance(self.error, SchedulerError) and self.error.http_status == HTTPStatus.TOO_MANY_REQUESTS


class Fanout:
    """Calls `scheduler` for every shard that `split` finds. `clock` is `time.monotonic`, in seconds."""

    def __init__(
        self,
        scheduler: Scheduler,
        split: Callable[[], list[Shard]],
        clock: Callable[[], float] = time.monotonic,
        limits: Limits = LIMITS,
    ) -> None:
        self._scheduler = scheduler
        self._split = split
        self._clock = clock
        self._limits = limits

    def evaluate(self, run_id: UUID | None, as_of: date, totals: RunTotals, deadline: float, *, dry_run: bool) -> None:
        """
        Evaluate everything, adding to `totals` on the way.

        If Lambda refuses some of the calls (429), these are made when the others are done. Raise the first
        failing shard's error, or `DeadlineExceeded` when `deadline` (monotonic seconds) comes first. A call that does
        not end in time is not waited for.
        """
        parts = [_ShardProgress(DispatchRequest(run_id, as_of, shard, dry_run=dry_run)) for shard in self._split()]
        waiting = parts
        while waiting:
            self._call(waiting, totals, deadline)
            refused = [part for part in waiting if part.has_no_capacity()]
            waiting = refused if len(refused) < len(waiting) else []
        _raise_first(parts)

    def _call(self, parts: list[_ShardProgress], totals: RunTotals, deadline: float) -> None:
        pool = ThreadPoolExecutor(len(parts), thread_name_prefix="shard")
        try:
            for part in parts:
                part.error = DeadlineExceeded("the scheduler did not answer in time")
            calls = [pool.submit(self._call_until_done, part, totals, deadline) for part in parts]
            wait(calls, timeout=max(0.0, deadline - self._clock()) + self._limits.join_grace)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _call_until_done(self, part: _ShardProgress, totals: RunTotals, deadline: float) -> None:
        try:
            while True:
                result = self._scheduler(part.request, deadline)
                totals.add(result)
                if result.next_cursor is None:
                    break
                part.request = replace(part.request, cursor=result.next_cursor)
            part.error = None
        except BaseException as error:
            part.error = error


def _raise_first(parts: list[_ShardProgress]) -> None:
    failed = [(part.request.shard.index, part.error) for part in parts if part.error is not None]
    for shard, error in failed:
        logger.error("shard failed", extra={"shard": shard, "reason": safe_message(error)})
    if failed:
        raise failed[0][1]
