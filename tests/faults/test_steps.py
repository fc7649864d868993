"""The list of steps that all faults are tried at is what a run really does."""

from __future__ import annotations

import pytest

from tests.faults.aftermath import WELL, Aftermath, whole
from tests.faults.arena import Case, cases
from tests.faults.lane import Lane
from tests.faults.steps import STEPS
from tests.faults.strikes import afterwards

WIDTH = 2


def untouched(lane: Lane, case: Case) -> Aftermath:
    cron = lane.cron()
    cron.ended.result(9)
    assert STEPS == lane.gate.steps
    return afterwards(lane, case, cron)


@pytest.mark.parametrize("case", cases(untouched, [""]), ids=str)
def test_steps(aftermath: Aftermath, case: Case) -> None:
    """A run that nothing happens to takes these steps in this order, no more and no fewer, and ends well."""
    assert whole(WELL) == aftermath
