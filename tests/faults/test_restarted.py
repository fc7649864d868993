"""The server, or the pooler, crashes in mid-run and comes back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext

import pytest

from ops.local.database import give_logins, prepared
from tests.faults.aftermath import NEVER_BEGUN, WELL, Aftermath, whole
from tests.faults.arena import Case, MakeLane, cases
from tests.faults.forks import Forks
from tests.faults.lane import Lane, lane
from tests.faults.pooler import PgBouncer, installed
from tests.faults.restarted import CrashingPostgres
from tests.faults.strikes import restart_pooler, restart_server

WIDTH = 1  # a crash strikes all
LOCK_TAKEN, ROW_WRITTEN = "lock: try_run_lock", "ledger: open_run"
MID_BATCH, BEFORE_SETTLING = "scheduler: dispatch_batch", "scheduler: COMMIT 2"
MOMENTS = [LOCK_TAKEN, ROW_WRITTEN, MID_BATCH, BEFORE_SETTLING]


@pytest.fixture(scope="module")
def make_lane(forks: Forks) -> Iterator[MakeLane]:
    """On a server that nobody else uses."""
    with CrashingPostgres.start() as server:
        template = prepared(server)
        give_logins(server, template)

        def make(pooled: bool) -> AbstractContextManager[Lane]:
            return lane(server, pooler if pooled else None, template, forks)

        with PgBouncer(server) if installed() else nullcontext() as pooler:
            yield make


@pytest.mark.parametrize("case", cases(restart_server, MOMENTS), ids=str)
def test_server_restarted(aftermath: Aftermath, case: Case) -> None:
    """With its row written the run goes on and succeeds; before, it says that it could not begin."""
    # Through the pooler only a transaction notices: the ledger, idle between two statements, does not.
    could_not_begin = case.step == LOCK_TAKEN and not case.pooled
    assert whole(NEVER_BEGUN if could_not_begin else WELL) == aftermath


@pytest.mark.parametrize("case", [case for case in cases(restart_pooler, MOMENTS) if case.pooled], ids=str)
def test_pooler_restarted(aftermath: Aftermath, case: Case) -> None:
    """The same: all connections are cut at once."""
    assert whole(NEVER_BEGUN if case.step == LOCK_TAKEN else WELL) == aftermath
