"""The cron function's process is killed at every step of its run."""

from __future__ import annotations

import pytest

from tests.faults.aftermath import KILLED, Aftermath, Ending, whole
from tests.faults.arena import Case, cases
from tests.faults.steps import STEPS, since
from tests.faults.strikes import kill_cron

WIDTH = 3


def ending(step: str) -> Ending:
    """A row is there from its INSERT on, and is the run's own result from its COMMIT on."""
    # Slack has the message and the mark is not committed: it is told once more.
    copies = 2 if step == "outbox: mark_delivered" else 1
    if step in since("ledger: COMMIT"):
        return Ending(KILLED, "success", copies)
    return Ending(KILLED, "abandoned" if step in since("ledger: open_run") else None)


@pytest.mark.parametrize("case", cases(kill_cron, STEPS), ids=str)
def test_killed_cron(aftermath: Aftermath, case: Case) -> None:
    """The lock is free at once; the row is settled once, the failure counted and told once, the work done once."""
    assert whole(ending(case.step), retried=True) == aftermath
