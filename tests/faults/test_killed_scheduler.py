"""The scheduler's process is killed at every step of a run, for good or with another one to follow."""

from __future__ import annotations

import pytest

from tests.faults.case_runner import Case, cases, one_per_outcome
from tests.faults.faults import kill_scheduler, replace_scheduler
from tests.faults.outcome import SUCCESS, Ending, Outcome, expected_outcome
from tests.faults.steps import DISPATCHING, STEPS, until

UNREACHABLE = Ending("_Unreachable", "failed")


def without_scheduler(case: Case) -> Outcome:
    return expected_outcome(UNREACHABLE if case.step in until("scheduler: COMMIT 2") else SUCCESS)


def with_another_scheduler(_: Case) -> Outcome:
    return expected_outcome(SUCCESS)


@pytest.mark.parametrize("case", one_per_outcome(cases(kill_scheduler, STEPS, pooled=DISPATCHING), without_scheduler))
def test_killed_scheduler(outcome: Outcome, case: Case) -> None:
    """Before its answer: calls are retried in vain, the run fails, is reported once, and the next run does the rest."""
    assert without_scheduler(case) == outcome


@pytest.mark.parametrize("case", one_per_outcome(cases(replace_scheduler, DISPATCHING), with_another_scheduler))
def test_replaced_scheduler(outcome: Outcome, case: Case) -> None:
    """The retried call finds the new one: the run succeeds, and counts as if nothing had happened."""
    assert with_another_scheduler(case) == outcome
