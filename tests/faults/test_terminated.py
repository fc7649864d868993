"""Every connection of a run is ended by the server, at every step while it is open."""

from __future__ import annotations

import pytest

from tests.faults.aftermath import NEVER_BEGUN, TOLD_TWICE, WELL, Aftermath, Ending, whole
from tests.faults.arena import Case, cases
from tests.faults.steps import STEPS, UNTIL_SETTLED, between, since
from tests.faults.strikes import terminate

WIDTH = 4


def before_its_row(case: Case) -> list[str]:
    """Steps after which `case.target` is needed, and nothing has been recorded yet."""
    if case.pooled:
        # Between transactions a client of the pooler has no backend that could be ended.
        return ["lock: BEGIN"] if case.target == "lock" else []
    first, last = {
        "lock": ("lock: connect", "lock: BEGIN"),
        "ledger": ("ledger: connect", "ledger: running_runs"),
    }.get(case.target, ("", ""))
    return between(first, last) if first else []


def ending(case: Case) -> Ending:
    if case.step in before_its_row(case):
        return NEVER_BEGUN
    if case.target == "outbox" and case.step in ("outbox: claim_delivery", "outbox: mark_delivered"):
        return TOLD_TWICE
    return WELL


@pytest.mark.parametrize("case", cases(terminate, STEPS, "lock", pooled=UNTIL_SETTLED), ids=str)
def test_lock_terminated(aftermath: Aftermath, case: Case) -> None:
    """Before it is taken, the run says that it could not begin; afterwards it goes on to its end without it."""
    assert whole(ending(case)) == aftermath


@pytest.mark.parametrize(
    "case", cases(terminate, since("ledger: connect"), "ledger", pooled=UNTIL_SETTLED[1:]), ids=str
)
def test_ledger_terminated(aftermath: Aftermath, case: Case) -> None:
    """Before the row is written, the run says that it could not begin; afterwards it is settled all the same."""
    assert whole(ending(case)) == aftermath


@pytest.mark.parametrize(
    "case", cases(terminate, between("scheduler: connect", "scheduler: COMMIT 2"), "scheduler"), ids=str
)
def test_dispatch_terminated(aftermath: Aftermath, case: Case) -> None:
    """The call is repeated, and the run's counts are as if nothing had been."""
    assert whole(ending(case)) == aftermath


@pytest.mark.parametrize("case", cases(terminate, between("outbox: connect", "outbox: COMMIT 2"), "outbox"), ids=str)
def test_outbox_terminated(aftermath: Aftermath, case: Case) -> None:
    """The run's result stands, and the alert is sent by who comes next: again only where the mark was lost."""
    assert whole(ending(case)) == aftermath
