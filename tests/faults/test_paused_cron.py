"""
The cron function's process is paused (SIGSTOP) at every step of its run until its lease is over, and resumed.

Its time is over then. Lambda would also stop it; that is left out here.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.faults.case_runner import Case, cases, one_per_outcome
from tests.faults.faults import FENCED, pause_cron
from tests.faults.outcome import SUCCESS, Ending, Outcome, expected_outcome
from tests.faults.steps import STEPS, UNTIL_SETTLED, between, since

LEDGER = "cron_execution_logs"


def expected(case: Case) -> Outcome:
    return _expected(case.step, case.pooled)


def allowed(case: Case) -> list[Outcome]:
    """A process that had claimed the message sends it a second time, if its time for sending is not over yet."""
    second_copy = [_expected("outbox: mark_delivered")] if case.step == "outbox: claim_delivery" else []
    return [expected(case), *second_copy]


def _expected(step: str, pooled: bool = False) -> Outcome:
    if step in since("ledger: COMMIT"):
        # The message was sent and its mark was not committed: the next invocation sends it once more.
        return expected_outcome(replace(SUCCESS, copies=2 if step == "outbox: mark_delivered" else 1), retried=True)
    if step in since("ledger: open_run"):
        return expected_outcome(Ending(FENCED, "abandoned"), retried=True, rescued_by_run=pooled)
    skipped = expected_outcome(Ending("skipped: duplicate_tick", None), retried=True)
    return replace(skipped, ledger=[*skipped.ledger, ("skipped", 0)], changed_after_resume=(LEDGER,))


@pytest.mark.parametrize("case", one_per_outcome(cases(pause_cron, STEPS, pooled=UNTIL_SETTLED), expected))
def test_paused_cron(outcome: Outcome, case: Case) -> None:
    """The lock is free when the lease ends, others do the work, and the resumed run changes nothing any more."""
    assert outcome in allowed(case)


def test_where_a_resumed_run_is_still_recorded() -> None:
    """A run that had no row yet finds its scheduled time done and is recorded as skipped. It adds nothing else."""
    skipped = [step for step in STEPS if _expected(step).changed_after_resume]
    assert between("lock: connect", "ledger: running_runs") == skipped
