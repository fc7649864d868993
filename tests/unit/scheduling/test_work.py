"""Shards of the uuid space, and sums over calls."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reminders.errors import SchedulerError
from reminders.scheduling.work import LARGEST_COUNT, PLAN_LIMIT, Planned, Progress, Shard, Totals, following

LOWEST, HIGHEST = UUID(int=0), UUID(int=(1 << 128) - 1)


@given(of=st.integers(1, 64))
def test_shards_touch_and_do_not_overlap(of: int) -> None:
    """From the lowest to the highest id, each shard begins where the one before it ends."""
    shards = [Shard(i, of) for i in range(of)]
    assert (LOWEST, HIGHEST) == (shards[0].first, shards[-1].last)
    for shard, following_shard in pairwise(shards):
        assert following(shard.last) == following_shard.first


@given(of=st.integers(1, 64))
def test_shards_are_even(of: int) -> None:
    """No shard is more than one id larger than another."""
    sizes = {Shard(i, of).last.int - Shard(i, of).first.int for i in range(of)}
    assert max(sizes) - min(sizes) <= 1


def test_id_after_the_last() -> None:
    """After the highest there is none."""
    assert None is following(HIGHEST)


def test_totals_of_shards_that_add_at_once() -> None:
    """No count is lost between threads, and the plan stops at its limit."""
    planned = Planned(LOWEST, LOWEST, LOWEST, "reminder", 10)
    totals = Totals()
    with ThreadPoolExecutor(8) as pool:
        for _ in range(400):
            pool.submit(totals.add, Progress(3, 2, 1, None, (planned,) * 5))
    counts = (totals.assignments_evaluated, totals.reminders_dispatched, totals.assignments_failed)
    assert (1200, 800, 400) == counts
    assert PLAN_LIMIT == len(totals.would_notify)


def test_sum_that_no_ledger_can_hold() -> None:
    """It is refused, and what was counted before stays."""
    totals = Totals(assignments_evaluated=LARGEST_COUNT)
    with pytest.raises(SchedulerError, match="counts more than a ledger can hold"):
        totals.add(Progress(1, 1))
    assert (LARGEST_COUNT, 0) == (totals.assignments_evaluated, totals.reminders_dispatched)
