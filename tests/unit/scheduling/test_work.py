"""Shards of all ids that there can be, and sums over calls."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reminders.errors import SchedulerError
from reminders.scheduling.ids import BIGINTS, UUIDS, AssignmentId, IdType
from reminders.scheduling.work import (
    LARGEST_COUNT,
    PLAN_LIMIT,
    Counts,
    DispatchRequest,
    DispatchResult,
    Planned,
    RunTotals,
    Shard,
    next_id,
)
from tests.factories import TODAY
from tests.helpers.cases import table

LOWEST, HIGHEST = UUID(int=0), UUID(int=(1 << 128) - 1)
LOWEST_NUMBER, HIGHEST_NUMBER = -(1 << 63), (1 << 63) - 1
BOTH_TYPES = pytest.mark.parametrize(
    ("ids", "ends"), [(UUIDS, (LOWEST, HIGHEST)), (BIGINTS, (LOWEST_NUMBER, HIGHEST_NUMBER))], ids=["uuid", "bigint"]
)


@BOTH_TYPES
@given(of=st.integers(1, 64))
def test_shards_touch_and_do_not_overlap(ids: IdType, ends: tuple[AssignmentId, AssignmentId], of: int) -> None:
    """From the lowest to the highest id, each shard begins where the one before it ends."""
    shards = [Shard(i, of, ids) for i in range(of)]
    assert ends == (shards[0].first, shards[-1].last)
    for shard, following_shard in pairwise(shards):
        assert next_id(shard.last) == following_shard.first


@BOTH_TYPES
@given(of=st.integers(1, 64))
def test_shards_are_even(ids: IdType, ends: object, of: int) -> None:
    """No shard is more than one id larger than another."""
    sizes = {ids.position(Shard(i, of, ids).last) - ids.position(Shard(i, of, ids).first) for i in range(of)}
    assert max(sizes) - min(sizes) <= 1


@given(of=st.integers(1, 64), number=st.integers(LOWEST_NUMBER, HIGHEST_NUMBER) | st.integers(-5, 5))
def test_number_in_shards(of: int, number: int) -> None:
    """Each is in exactly one."""
    assert 1 == sum(Shard(i, of).includes(number) for i in range(of))


@BOTH_TYPES
def test_id_after_the_last(ids: IdType, ends: tuple[AssignmentId, AssignmentId]) -> None:
    """After the highest there is none; after 0 comes 1."""
    assert (None, None) == (next_id(ends[1]), next_id(ids.at(ids.size - 1)))
    assert (1, UUID(int=1)) == (next_id(0), next_id(LOWEST))


@table(
    ("cursor", "answered", "goes_on"),
    [(None, 1, True), (0, 1, True), (0, 0, False), (5, -1, False), (None, LOWEST_NUMBER, False), (0, HIGHEST, False)],
)
def test_cursor_of_an_answer(cursor: AssignmentId | None, answered: AssignmentId, goes_on: bool) -> None:
    """Only one past where the call began, of the same type, brings the run further; 0 is an id like any other."""
    assert goes_on == DispatchRequest(None, TODAY, Shard(0, 1), cursor, dry_run=True).can_go_on_at(answered)


def test_totals_of_shards_that_add_at_once() -> None:
    """No count is lost between threads, and the plan stops at its limit."""
    planned = Planned(LOWEST, LOWEST, LOWEST, "reminder", 10)
    totals = RunTotals()
    with ThreadPoolExecutor(8) as pool:
        for _ in range(400):
            pool.submit(totals.add, DispatchResult(Counts(3, 2, 1), None, (planned,) * 5))
    counts = (totals.counts.evaluated, totals.counts.dispatched, totals.counts.failed)
    assert (1200, 800, 400) == counts
    assert PLAN_LIMIT == len(totals.would_notify)


def test_sum_that_no_ledger_can_hold() -> None:
    """It is refused, and what was counted before stays."""
    totals = RunTotals(Counts(LARGEST_COUNT))
    with pytest.raises(SchedulerError, match="counts are larger than the ledger can hold"):
        totals.add(DispatchResult(Counts(1, 1)))
    assert (LARGEST_COUNT, 0) == (totals.counts.evaluated, totals.counts.dispatched)
