"""The server ends every connection of a run, at every step while it is open."""

from __future__ import annotations

import pytest

from tests.faults.case_runner import Case, cases, one_per_outcome
from tests.faults.faults import terminate
from tests.faults.outcome import ALERTED_TWICE, NOT_STARTED, SUCCESS, Ending, Outcome, expected_outcome
from tests.faults.steps import STEPS, UNTIL_SETTLED, between, since

NEEDED_BEFORE_THE_ROW = {
    "lock": ("lock: connect", "lock: BEGIN"),
    "ledger": ("ledger: connect", "ledger: running_runs"),
}
LOCK = cases(terminate, STEPS, "lock", pooled=UNTIL_SETTLED)
LEDGER = cases(terminate, since("ledger: connect"), "ledger", pooled=UNTIL_SETTLED[1:])
DISPATCH = cases(terminate, between("scheduler: connect", "scheduler: COMMIT 2"), "scheduler")
OUTBOX = cases(terminate, between("outbox: connect", "outbox: COMMIT 2"), "outbox")


def expected(case: Case) -> Outcome:
    return expected_outcome(ending(case))


def ending(case: Case) -> Ending:
    if case.step in before_its_row(case):
        return NOT_STARTED
    if case.target == "outbox" and case.step in ("outbox: claim_delivery", "outbox: mark_delivered"):
        return ALERTED_TWICE
    return SUCCESS


def before_its_row(case: Case) -> list[str]:
    """Steps after which `case.target` is needed, and nothing has been recorded yet."""
    if case.pooled:
        # Between transactions a client of the pooler has no backend that could be ended.
        return ["lock: BEGIN"] if case.target == "lock" else []
    return between(*NEEDED_BEFORE_THE_ROW[case.target]) if case.target in NEEDED_BEFORE_THE_ROW else []


@pytest.mark.parametrize("case", one_per_outcome(LOCK, expected))
def test_lock_terminated(outcome: Outcome, case: Case) -> None:
    """Before it is taken, the run reports that it could not start; later it goes on to its end without the lock."""
    assert expected(case) == outcome


@pytest.mark.parametrize("case", one_per_outcome(LEDGER, expected))
def test_ledger_terminated(outcome: Outcome, case: Case) -> None:
    """Before the row is written, the run reports that it could not start; later it is settled on a new connection."""
    assert expected(case) == outcome


@pytest.mark.parametrize("case", one_per_outcome(DISPATCH, expected))
def test_dispatch_terminated(outcome: Outcome, case: Case) -> None:
    """The call is retried, and the run's counts are as if nothing had happened."""
    assert expected(case) == outcome


@pytest.mark.parametrize("case", one_per_outcome(OUTBOX, expected))
def test_outbox_terminated(outcome: Outcome, case: Case) -> None:
    """The run's result stands; the next invocation sends the alert, a second time only where the mark was lost."""
    assert expected(case) == outcome
