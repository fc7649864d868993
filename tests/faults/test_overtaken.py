"""
The lock is lost at every step from its taking on, a second run takes it, and the first one still goes on.

Then another reminder falls due, which the first run would find if it were let.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.faults.aftermath import BEFORE, WELL, Aftermath, Ending, whole
from tests.faults.arena import Case, cases
from tests.faults.lane import GAPS, due
from tests.faults.steps import between, since
from tests.faults.strikes import NEWS, overtake

WIDTH = 3
SECOND, TOMORROW = ("success", 0), ("success", 0)


def expected(step: str) -> Aftermath:
    dispatched = due({**GAPS, **NEWS})
    if step in between("lock: try_run_lock", "ledger: running_runs"):
        # Its row comes after the second run's.
        found_done = whole(Ending("skipped: duplicate_tick", None), retried=True)
        ledger = [*BEFORE, SECOND, ("skipped", 0), TOMORROW]
        return replace(found_done, ledger=ledger, dispatched=dispatched)
    was_settling = step in since("ledger: settle_run")
    ending = WELL if was_settling else Ending("RunSettledElsewhere", "abandoned")
    return replace(whole(ending, retried=True), dispatched=dispatched)


@pytest.mark.parametrize("case", cases(overtake, since("lock: try_run_lock")), ids=str)
def test_overtaken(aftermath: Aftermath, case: Case) -> None:
    """Once it was declared abandoned it dispatches nothing more and raises, and its row stays as it is."""
    assert expected(case.step) == aftermath
