"""What a run returns."""

from __future__ import annotations

from dataclasses import replace

from reminders.runs.lifecycle import RunSummary
from reminders.runs.records import RunStatus
from reminders.scheduling.work import NOTHING, PLAN_LIMIT
from tests.helpers.cases import table


@table(("due", "is_cut"), [(PLAN_LIMIT, False), (PLAN_LIMIT + 1, True)])
def test_list_of_a_dry_run(due: int, is_cut: bool) -> None:
    """It is cut only where it could not hold all that would be dispatched."""
    summary = RunSummary(None, RunStatus.SUCCESS, counts=replace(NOTHING, dispatched=due), would_notify=[])
    assert is_cut is summary.as_json()["would_notify_is_cut"]
