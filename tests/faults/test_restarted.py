"""The server, or the pooler, crashes during a run and comes back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext

import pytest

from ops.local.database import give_logins, prepare_template
from tests.faults.case_runner import Case, MakeEnvironment, cases, one_per_outcome
from tests.faults.crashing_postgres import CrashingPostgres
from tests.faults.environment import FaultEnvironment, fault_environment
from tests.faults.faults import restart_pooler, restart_server
from tests.faults.outcome import NOT_STARTED, SUCCESS, Outcome, expected_outcome
from tests.faults.pgbouncer import PgBouncer, installed
from tests.faults.processes import Processes

LOCK_TAKEN, ROW_WRITTEN = "lock: try_run_lock", "ledger: open_run"
MID_BATCH, BEFORE_SETTLING = "scheduler: dispatch_batch", "scheduler: COMMIT 2"
MOMENTS = [LOCK_TAKEN, ROW_WRITTEN, MID_BATCH, BEFORE_SETTLING]


@pytest.fixture(scope="module")
def make_environment(processes: Processes) -> Iterator[MakeEnvironment]:
    """On a server that no other test uses."""
    with CrashingPostgres.start() as server:
        template = prepare_template(server)
        give_logins(server, template)

        def make(pooled: bool) -> AbstractContextManager[FaultEnvironment]:
            return fault_environment(server, pooler if pooled else None, template, processes)

        with PgBouncer(server) if installed() else nullcontext() as pooler:
            yield make


def after_server_restart(case: Case) -> Outcome:
    # Through the pooler only a transaction notices it; the ledger, idle between two statements, does not.
    return expected_outcome(NOT_STARTED if case.step == LOCK_TAKEN and not case.pooled else SUCCESS)


def after_pooler_restart(case: Case) -> Outcome:
    return expected_outcome(NOT_STARTED if case.step == LOCK_TAKEN else SUCCESS)


@pytest.mark.parametrize("case", one_per_outcome(cases(restart_server, MOMENTS), after_server_restart))
def test_server_restarted(outcome: Outcome, case: Case) -> None:
    """Once its row is written the run succeeds; before, it reports that it could not start."""
    assert after_server_restart(case) == outcome


@pytest.mark.parametrize("case", one_per_outcome(cases(restart_pooler, [], pooled=MOMENTS), after_pooler_restart))
def test_pooler_restarted(outcome: Outcome, case: Case) -> None:
    """The same: all connections are cut at once."""
    assert after_pooler_restart(case) == outcome
