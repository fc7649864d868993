"""The scheduler's process is frozen at every step of a run, until all is over, and thawed then."""

from __future__ import annotations

import pytest

from tests.faults.aftermath import WELL, Aftermath, Ending, whole
from tests.faults.arena import Case, cases
from tests.faults.steps import DISPATCHING, STEPS, until
from tests.faults.strikes import freeze_scheduler

WIDTH = 10
NO_ANSWER = Ending("DeadlineExceeded", "failed")


@pytest.mark.parametrize("case", cases(freeze_scheduler, STEPS, pooled=DISPATCHING), ids=str)
def test_frozen_scheduler(aftermath: Aftermath, case: Case) -> None:
    """The run ends in time, as a failure, for a frozen batch is ended by the server; thawed, it dispatches nothing."""
    assert whole(NO_ANSWER if case.step in until("scheduler: COMMIT 2") else WELL) == aftermath
