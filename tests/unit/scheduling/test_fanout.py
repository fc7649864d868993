"""All shards, side by side, each until it is done."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from uuid import UUID

import pytest

from reminders.errors import DeadlineExceeded, SchedulerError
from reminders.scheduling.client import Scheduler
from reminders.scheduling.fanout import Fanout
from reminders.scheduling.ids import AssignmentId
from reminders.scheduling.work import Counts, DispatchRequest, DispatchResult, RunTotals, shards_from

RUN = UUID(int=1)
DAY = date(2026, 11, 21)


def fanout(scheduler: Scheduler, shards: int) -> Fanout:
    return Fanout(scheduler, lambda: shards_from(range(1, shards)))


def evaluate(fanout: Fanout, totals: RunTotals, seconds: float = 5.0) -> None:
    fanout.evaluate(RUN, DAY, totals, time.monotonic() + seconds, dry_run=False)


def test_each_shard_is_called_until_it_is_done() -> None:
    """A call that did not finish is followed by one from its cursor."""
    calls: list[tuple[int, AssignmentId | None]] = []

    def scheduler(work: DispatchRequest, deadline: float) -> DispatchResult:
        calls.append((work.shard.index, work.cursor))
        return DispatchResult(Counts(1), next_cursor=99 if work.cursor is None else None)

    totals = RunTotals()
    evaluate(fanout(scheduler, 3), totals)
    assert 6 == totals.counts.evaluated
    assert [0, 0, 1, 1, 2, 2] == sorted(shard for shard, _ in calls)
    assert 3 == sum(cursor is None for _, cursor in calls)


def test_shards_work_at_the_same_time() -> None:
    """All calls are under way at once: no one waits at this barrier for longer than it takes all to come."""
    together = threading.Barrier(4, timeout=30)

    def scheduler(work: DispatchRequest, deadline: float) -> DispatchResult:
        together.wait()
        return DispatchResult(Counts(1))

    totals = RunTotals()
    evaluate(fanout(scheduler, 4), totals)
    assert 4 == totals.counts.evaluated


def test_one_shard_fails() -> None:
    """The others go on and are counted; the run fails with the shard's own error."""

    def scheduler(work: DispatchRequest, deadline: float) -> DispatchResult:
        if work.shard.index == 1:
            raise SchedulerError("scheduler answered 500", 500)
        return DispatchResult(Counts(10, 5))

    totals = RunTotals()
    with pytest.raises(SchedulerError, match="answered 500"):
        evaluate(fanout(scheduler, 3), totals)
    assert (20, 10) == (totals.counts.evaluated, totals.counts.dispatched)


def test_two_shards_fail() -> None:
    """The lowest shard's error is the run's, so that two equal nights look equal."""

    def scheduler(work: DispatchRequest, deadline: float) -> DispatchResult:
        raise SchedulerError(f"shard {work.shard.index}")

    for _ in range(5):
        with pytest.raises(SchedulerError, match="shard 0"):
            evaluate(fanout(scheduler, 4), RunTotals())


def test_call_that_never_ends() -> None:
    """It is left behind at the deadline, and what the others did is kept."""
    end = threading.Event()

    def scheduler(work: DispatchRequest, deadline: float) -> DispatchResult:
        if work.shard.index == 0:
            end.wait(10)
        return DispatchResult(Counts(1))

    totals = RunTotals()
    began = time.monotonic()
    with pytest.raises(DeadlineExceeded, match=r"^deadline_exceeded: the scheduler did not answer in time"):
        evaluate(fanout(scheduler, 2), totals, seconds=0.05)
    end.set()
    assert time.monotonic() - began < 8
    assert 1 == totals.counts.evaluated


def test_deadline_that_has_passed() -> None:
    """Nothing hangs when there is no time at all."""

    def scheduler(work: DispatchRequest, deadline: float) -> DispatchResult:
        raise DeadlineExceeded("no time was left to go on dispatching")

    with pytest.raises(DeadlineExceeded, match="no time was left"):
        evaluate(fanout(scheduler, 2), RunTotals(), seconds=-5)


def test_fewer_calls_at_once_than_shards() -> None:
    """Where Lambda accepts one call at a time, the shards follow each other, each from where it stopped."""
    free, calls = threading.Lock(), []

    def scheduler(work: DispatchRequest, deadline: float) -> DispatchResult:
        if not free.acquire(blocking=False):
            raise SchedulerError("scheduler answered 429", 429)
        with free_at_the_end(free):
            calls.append((work.shard.index, work.cursor))
            time.sleep(0.02)
            return DispatchResult(Counts(1), next_cursor=work.shard.index * 10 if work.cursor is None else None)

    totals = RunTotals()
    evaluate(fanout(scheduler, 4), totals)
    assert 8 == totals.counts.evaluated == len(set(calls)) == len(calls)


@contextmanager
def free_at_the_end(lock: threading.Lock) -> Iterator[None]:
    try:
        yield
    finally:
        lock.release()


def test_no_call_is_accepted() -> None:
    """The run fails with Lambda's answer, and each shard was called once."""
    calls: list[int] = []

    def scheduler(work: DispatchRequest, deadline: float) -> DispatchResult:
        calls.append(work.shard.index)
        raise SchedulerError("scheduler answered 429", 429)

    with pytest.raises(SchedulerError, match="answered 429"):
        evaluate(fanout(scheduler, 3), RunTotals())
    assert [0, 1, 2] == sorted(calls)
