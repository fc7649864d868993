"""The cron function's process is killed at every step of its run."""

from __future__ import annotations

import pytest

from tests.faults.case_runner import Case, cases, one_per_outcome
from tests.faults.faults import kill_cron
from tests.faults.outcome import KILLED, Ending, Outcome, expected_outcome
from tests.faults.steps import STEPS, since


def expected(case: Case) -> Outcome:
    """A row exists from its INSERT on, and has the run's own result from its COMMIT on."""
    # Slack has the message and the mark is not committed: it is sent once more.
    copies = 2 if case.step == "outbox: mark_delivered" else 1
    if case.step in since("ledger: COMMIT"):
        return expected_outcome(Ending(KILLED, "success", copies), retried=True)
    has_row = case.step in since("ledger: open_run")
    ending = Ending(KILLED, "abandoned" if has_row else None)
    return expected_outcome(ending, retried=True, rescued_by_run=case.pooled)


@pytest.mark.parametrize("case", one_per_outcome(cases(kill_cron, STEPS), expected))
def test_killed_cron(outcome: Outcome, case: Case) -> None:
    """The lock is free at once; the row is settled, the failure counted and reported, and the work done: each once."""
    assert expected(case) == outcome
