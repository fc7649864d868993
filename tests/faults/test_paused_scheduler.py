"""The scheduler's process is paused (SIGSTOP) at every step of a run, and resumed when everything is over."""

from __future__ import annotations

import pytest

from tests.faults.case_runner import Case, cases, one_per_outcome
from tests.faults.faults import pause_scheduler
from tests.faults.outcome import SUCCESS, Ending, Outcome, expected_outcome
from tests.faults.steps import DISPATCHING, STEPS, until

NO_ANSWER = Ending("DeadlineExceeded", "failed")


def expected(case: Case) -> Outcome:
    return expected_outcome(NO_ANSWER if case.step in until("scheduler: COMMIT 2") else SUCCESS)


@pytest.mark.parametrize("case", one_per_outcome(cases(pause_scheduler, STEPS, pooled=DISPATCHING), expected))
def test_paused_scheduler(outcome: Outcome, case: Case) -> None:
    """The run fails in time, the server ends the paused batch, and the resumed scheduler dispatches nothing."""
    assert expected(case) == outcome
