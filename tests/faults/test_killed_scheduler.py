"""The scheduler's process is killed at every step of a run, for good or with another one to follow."""

from __future__ import annotations

import pytest

from tests.faults.aftermath import WELL, Aftermath, Ending, whole
from tests.faults.arena import Case, cases
from tests.faults.steps import DISPATCHING, STEPS, until
from tests.faults.strikes import kill_scheduler, replace_scheduler

WIDTH = 10
UNREACHABLE = Ending("_Unreachable", "failed")


@pytest.mark.parametrize("case", cases(kill_scheduler, STEPS, pooled=DISPATCHING), ids=str)
def test_killed_scheduler(aftermath: Aftermath, case: Case) -> None:
    """Before its answer: calls are repeated in vain, the run fails, is told once, and the next one does the rest."""
    assert whole(UNREACHABLE if case.step in until("scheduler: COMMIT 2") else WELL) == aftermath


@pytest.mark.parametrize("case", cases(replace_scheduler, DISPATCHING), ids=str)
def test_replaced_scheduler(aftermath: Aftermath, case: Case) -> None:
    """The repeated call finds the new one: the run succeeds, with the counts as if nothing had been."""
    assert whole(WELL) == aftermath
