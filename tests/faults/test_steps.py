"""The list of steps that all faults are tried at is what a run really does."""

from __future__ import annotations

import pytest

from tests.faults.case_runner import Case
from tests.faults.environment import FaultEnvironment
from tests.faults.faults import finish
from tests.faults.outcome import SUCCESS, Outcome, expected_outcome
from tests.faults.steps import STEPS


def no_fault(env: FaultEnvironment, case: Case) -> Outcome:
    cron = env.cron()
    cron.ended.result(9)
    # The two connections are opened at once.
    assert set(STEPS[:2]) == set(env.barrier.steps[:2])
    assert STEPS[2:] == env.barrier.steps[2:]
    return finish(env, case, cron)


@pytest.mark.parametrize("case", [Case(no_fault, "", pooled) for pooled in (False, True)], ids=str)
def test_steps(outcome: Outcome, case: Case) -> None:
    """A run without a fault takes these steps in this order, no more and no fewer, and succeeds."""
    assert expected_outcome(SUCCESS) == outcome
