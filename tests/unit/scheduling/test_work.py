"""Shards of all ids that there can be, and sums over calls."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reminders.errors import SchedulerError
from reminders.scheduling.ids import BIGINTS, UUIDS, AssignmentId, IdType, next_id
from reminders.scheduling.work import (
    LARGEST_COUNT,
    PLAN_LIMIT,
    Counts,
    DispatchRequest,
    DispatchResult,
    Planned,
    RunTotals,
    Shard,
    shards_from,
)
from tests.factories import TODAY
from tests.helpers.cases import table

LOWEST, HIGHEST = UUID(int=0), UUID(int=(1 << 128) - 1)
LOWEST_NUMBER, HIGHEST_NUMBER = -(1 << 63), (1 << 63) - 1
UUID_IDS = st.uuids() | st.sampled_from([LOWEST, HIGHEST, UUID(int=1)])
NUMBERS = st.integers(LOWEST_NUMBER, HIGHEST_NUMBER) | st.integers(-5, 5) | st.just(LOWEST_NUMBER)
BOTH_TYPES = table("ids", [UUIDS, BIGINTS], ids=["uuid", "bigint"])


@BOTH_TYPES
@given(data=st.data())
def test_shards_touch_and_do_not_overlap(ids: IdType, data: st.DataObject) -> None:
    """Whatever the bounds: from the lowest to the highest id, each shard begins where the one before it ends."""
    strategy: st.SearchStrategy[AssignmentId] = UUID_IDS if ids is UUIDS else NUMBERS
    bounds = data.draw(st.lists(strategy, max_size=8))
    shards = shards_from(bounds)
    ranges = [DispatchRequest(None, TODAY, shard).range(ids) for shard in shards]
    assert (ids.lowest, ids.highest) == (ranges[0][0], ranges[-1][1])
    assert list(range(len(shards))) == [shard.index for shard in shards]
    for (first, last), (following, _) in pairwise(ranges):
        assert first <= last  # type: ignore[operator]
        assert next_id(last) == following


@given(bounds=st.lists(NUMBERS, max_size=8), number=NUMBERS)
def test_number_in_shards(bounds: list[int], number: int) -> None:
    """Each is in exactly one."""
    assert 1 == sum(shard.includes(number) for shard in shards_from(bounds))


@BOTH_TYPES
@given(of=st.integers(1, 64))
def test_equal_parts(ids: IdType, of: int) -> None:
    """A shard without ends is an equal part of all possible ids: the parts touch, and differ by one id at most."""
    ranges = [Shard(index, of).ends(ids) for index in range(of)]
    assert (ids.lowest, ids.highest) == (ranges[0][0], ranges[-1][1])
    for (_, last), (following, _) in pairwise(ranges):
        assert next_id(last) == following
    sizes = {int(last) - int(first) for first, last in ranges}
    assert max(sizes) - min(sizes) <= 1


@BOTH_TYPES
def test_id_after_the_last(ids: IdType) -> None:
    """After the highest there is none; after 0 comes 1."""
    assert next_id(ids.highest) is None
    assert (1, UUID(int=1)) == (next_id(0), next_id(LOWEST))


@table("shard", [Shard(0, 2, LOWEST, None), Shard(0, 2, None, HIGHEST)])
def test_id_of_another_type(shard: Shard) -> None:
    """It is in no shard whose ends are of the other type."""
    assert not shard.includes(5)


@table(
    ("cursor", "answered", "goes_on"),
    [(None, 1, True), (0, 1, True), (0, 0, False), (5, -1, False), (None, LOWEST_NUMBER, False), (0, HIGHEST, False)],
)
def test_cursor_of_an_answer(cursor: AssignmentId | None, answered: AssignmentId, goes_on: bool) -> None:
    """Only one past where the call began, of the same type, brings the run further; 0 is an id like any other."""
    assert goes_on == DispatchRequest(None, TODAY, Shard(), cursor, dry_run=True).can_go_on_at(answered)


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
