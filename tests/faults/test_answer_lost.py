"""The network breaks at every step: PostgreSQL has done what was asked, and its answer is lost."""

from __future__ import annotations

import pytest

from tests.faults.case_runner import Case, cases, one_per_outcome
from tests.faults.faults import lose_answer
from tests.faults.outcome import ALERTED_TWICE, NOT_STARTED, SUCCESS, Ending, Outcome, expected_outcome
from tests.faults.steps import STEPS, between


def expected(case: Case) -> Outcome:
    return expected_outcome(ending(case.step))


def ending(step: str) -> Ending:
    """Until the function knows that its row is written, it cannot go on; a row that was written is abandoned."""
    if step == "ledger: open_run":
        return Ending("DatabaseUnavailable", "abandoned", direct=True)
    if step in between("lock: connect", "ledger: running_runs"):
        return NOT_STARTED
    return ALERTED_TWICE if step == "outbox: mark_delivered" else SUCCESS


@pytest.mark.parametrize("case", one_per_outcome(cases(lose_answer, STEPS, pooled=[]), expected))
def test_answer_lost(outcome: Outcome, case: Case) -> None:
    """What PostgreSQL did without the function knowing is done once, and counted once."""
    assert expected(case) == outcome
