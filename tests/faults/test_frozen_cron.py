"""
The cron function's process is frozen at every step of its run, until its lease is over, and thawed at the end.

Its time is over then; only that Lambda would end it is left out.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.faults.aftermath import WELL, Aftermath, Ending, whole
from tests.faults.arena import Case, cases
from tests.faults.steps import STEPS, UNTIL_SETTLED, between, since
from tests.faults.strikes import FENCED, freeze_cron

WIDTH = 10
LEDGER = "cron_execution_logs"


def allowed(step: str) -> list[Aftermath]:
    """Whoever has the message to send tells it once more, if the time for sending is not over yet."""
    left = expected(step)
    return [left, expected("outbox: mark_delivered")] if step == "outbox: claim_delivery" else [left]


def expected(step: str) -> Aftermath:
    if step in since("ledger: COMMIT"):
        # Whoever has sent the message without a committed mark has told it once more.
        return whole(replace(WELL, copies=2 if step == "outbox: mark_delivered" else 1), retried=True)
    if step in since("ledger: open_run"):
        return whole(Ending(FENCED, "abandoned"), retried=True)
    late = whole(Ending("skipped: duplicate_tick", None), retried=True)
    return replace(late, ledger=[*late.ledger, ("skipped", 0)], late=(LEDGER,))


@pytest.mark.parametrize("case", cases(freeze_cron, STEPS, pooled=UNTIL_SETTLED), ids=str)
def test_frozen_cron(aftermath: Aftermath, case: Case) -> None:
    """The lock is free when the lease ends, others do the work, and the thawed run changes nothing any more."""
    assert aftermath in allowed(case.step)


def test_where_a_late_run_is_still_recorded() -> None:
    """One that had not written its row finds its tick done, and is recorded as skipped: that is all it adds."""
    skipped = [step for step in STEPS if expected(step).late]
    assert between("lock: connect", "ledger: running_runs") == skipped
