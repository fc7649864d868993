"""
All shards of one run, in parallel. Each shard is called until it is done.

The shards share nothing but the totals. One that fails does not stop the others: their reminders are due,
too. The run then fails with the first shard's error, and keeps the counts of all.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from datetime import date
from uuid import UUID

from reminders.errors import DeadlineExceeded, safe_message
from reminders.limits import LIMITS, Limits
from reminders.scheduling.client import Scheduler
from reminders.scheduling.work import DispatchRequest, RunTotals, Shard
from reminders.telemetry import logger


class Fanout:
    """Calls `scheduler` for every one of `shards` shards. `clock` is `time.monotonic`, in seconds."""

    def __init__(
        self,
        scheduler: Scheduler,
        shards: int,
        clock: Callable[[], float] = time.monotonic,
        limits: Limits = LIMITS,
    ) -> None:
        self._scheduler = scheduler
        self._shards = shards
        self._clock = clock
        self._limits = limits

    def evaluate(self, run_id: UUID | None, as_of: date, totals: RunTotals, deadline: float, *, dry_run: bool) -> None:
        """
        Evaluate everything, adding to `totals` on the way.

        Raise the first failing shard's error, or `DeadlineExceeded` when `deadline` (monotonic seconds)
        comes first. A call that does not end in time is not waited for.
        """
        pool = ThreadPoolExecutor(self._shards, thread_name_prefix="shard")
        try:
            calls = [
                pool.submit(
                    self._until_done,
                    DispatchRequest(run_id, as_of, Shard(i, self._shards), dry_run=dry_run),
                    totals,
                    deadline,
                )
                for i in range(self._shards)
            ]
            wait(calls, timeout=max(0.0, deadline - self._clock()) + self._limits.join_grace)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
        _raise_first(calls)

    def _until_done(self, request: DispatchRequest, totals: RunTotals, deadline: float) -> None:
        while True:
            result = self._scheduler(request, deadline)
            totals.add(result)
            if result.next_cursor is None:
                return
            request = replace(request, cursor=result.next_cursor)


def _raise_first(calls: list[Future[None]]) -> None:
    errors = [_error_of(call) for call in calls]
    failed = [(shard, error) for shard, error in enumerate(errors) if error is not None]
    for shard, error in failed:
        logger.error("shard failed", extra={"shard": shard, "reason": safe_message(error)})
    if failed:
        raise failed[0][1]


def _error_of(call: Future[None]) -> BaseException | None:
    return call.exception() if call.done() else DeadlineExceeded("the scheduler did not answer in time")
