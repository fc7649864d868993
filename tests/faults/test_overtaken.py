"""
The lock is lost at every step from its taking on, a second run takes it, and the first one still goes on.

Then another reminder becomes due, which the first run would dispatch if the fence did not stop it.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.faults.case_runner import Case, cases, one_per_outcome
from tests.faults.environment import GAPS, due
from tests.faults.faults import NEWLY_DUE, overtake
from tests.faults.outcome import BEFORE, SUCCESS, Ending, Outcome, expected_outcome
from tests.faults.steps import between, since

SECOND, TOMORROW = ("success", 0), ("success", 0)


def expected(case: Case) -> Outcome:
    dispatched = due({**GAPS, **NEWLY_DUE})
    if case.step in between("lock: try_run_lock", "ledger: running_runs"):
        # Its row comes after the second run's.
        skipped = expected_outcome(Ending("skipped: duplicate_tick", None), retried=True)
        return replace(skipped, ledger=[*BEFORE, SECOND, ("skipped", 0), TOMORROW], dispatched=dispatched)
    was_settling = case.step in since("ledger: settle_run")
    ending = SUCCESS if was_settling else Ending("RunSettledElsewhere", "abandoned")
    return replace(expected_outcome(ending, retried=True, rescued_by_run=True), dispatched=dispatched)


@pytest.mark.parametrize("case", one_per_outcome(cases(overtake, since("lock: try_run_lock")), expected))
def test_overtaken(outcome: Outcome, case: Case) -> None:
    """A run that was declared abandoned dispatches nothing more and raises, and its row stays as it is."""
    assert expected(case) == outcome
