"""The network breaks at every step: PostgreSQL has done what it was asked, and its answer is lost."""

from __future__ import annotations

import pytest

from tests.faults.aftermath import NEVER_BEGUN, TOLD_TWICE, WELL, Aftermath, Ending, whole
from tests.faults.arena import Case, cases
from tests.faults.steps import STEPS, between
from tests.faults.strikes import cut

WIDTH = 4


def ending(step: str) -> Ending:
    """Before the row was written for all we know, the run cannot go on; a row that was written is abandoned."""
    if step == "ledger: open_run":
        return Ending("DatabaseUnavailable", "abandoned", direct=True)
    if step in between("lock: connect", "ledger: running_runs"):
        return NEVER_BEGUN
    return TOLD_TWICE if step == "outbox: mark_delivered" else WELL


@pytest.mark.parametrize("case", cases(cut, STEPS, pooled=[]), ids=str)
def test_answer_lost(aftermath: Aftermath, case: Case) -> None:
    """PostgreSQL did it and nobody heard: it is done once, and counted once, all the same."""
    assert whole(ending(case.step)) == aftermath
