"""All shards, side by side, each until it is done."""

from __future__ import annotations

import threading
import time
from datetime import date
from uuid import UUID

import pytest

from reminders.errors import DeadlineExceeded, SchedulerError
from reminders.scheduling.fanout import Fanout
from reminders.scheduling.ids import AssignmentId
from reminders.scheduling.work import Counts, DispatchRequest, DispatchResult, RunTotals

RUN = UUID(int=1)
DAY = date(2026, 11, 21)


def evaluate(fanout: Fanout, totals: RunTotals, seconds: float = 5.0) -> None:
    fanout.evaluate(RUN, DAY, totals, time.monotonic() + seconds, dry_run=False)


def test_each_shard_is_called_until_it_is_done() -> None:
    """A call that did not finish is followed by one from its cursor."""
    calls: list[tuple[int, AssignmentId | None]] = []

    def scheduler(work: DispatchRequest, deadline: float) -> DispatchResult:
        calls.append((work.shard.index, work.cursor))
        return DispatchResult(Counts(1), next_cursor=work.shard.last if work.cursor is None else None)

    totals = RunTotals()
    evaluate(Fanout(scheduler, 3), totals)
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
    evaluate(Fanout(scheduler, 4), totals)
    assert 4 == totals.counts.evaluated


def test_one_shard_fails() -> None:
    """The others go on and are counted; the run fails with the shard's own error."""

    def scheduler(work: DispatchRequest, deadline: float) -> DispatchResult:
        if work.shard.index == 1:
            raise SchedulerError("scheduler answered 500", 500)
        return DispatchResult(Counts(10, 5))

    totals = RunTotals()
    with pytest.raises(SchedulerError, match="answered 500"):
        evaluate(Fanout(scheduler, 3), totals)
    assert (20, 10) == (totals.counts.evaluated, totals.counts.dispatched)


def test_two_shards_fail() -> None:
    """The lowest shard's error is the run's, so that two equal nights look equal."""

    def scheduler(work: DispatchRequest, deadline: float) -> DispatchResult:
        raise SchedulerError(f"shard {work.shard.index}")

    for _ in range(5):
        with pytest.raises(SchedulerError, match="shard 0"):
            evaluate(Fanout(scheduler, 4), RunTotals())


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
        evaluate(Fanout(scheduler, 2), totals, seconds=0.05)
    end.set()
    assert time.monotonic() - began < 8
    assert 1 == totals.counts.evaluated


def test_deadline_that_has_passed() -> None:
    """Nothing hangs when there is no time at all."""

    def scheduler(work: DispatchRequest, deadline: float) -> DispatchResult:
        raise DeadlineExceeded("no time was left to go on dispatching")

    with pytest.raises(DeadlineExceeded, match="no time was left"):
        evaluate(Fanout(scheduler, 2), RunTotals(), seconds=-5)
