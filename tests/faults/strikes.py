"""
The faults: each begins a run, waits until the gate holds its step, strikes, and lets go.

Afterwards comes tomorrow's tick; where the cron function's own process died or stood still, the same tick before
that, as Lambda retries it. The watchdog comes before them, but through the pooler they have to do without.
"""

from __future__ import annotations

import time
from dataclasses import replace
from uuid import UUID

import httpx

from tests.faults.aftermath import Aftermath, observed, told_by
from tests.faults.arena import Case
from tests.faults.forks import Fork
from tests.faults.lane import AGAIN, TOMORROW, Lane
from tests.faults.steps import until
from tests.ops.helpers import eventually

LOCK_FREE_WITHIN = 3.0  # seconds after a run's end
PATIENCE = 9.0
SECONDS = 3.5  # of an invocation whose time is to run out: enough to come to its step on a busy machine
# What a run that was declared abandoned meanwhile may say: its time is over as well.
FENCED, FENCING = "fenced off", ("DeadlineExceeded", "RunSettledElsewhere")


def held(lane: Lane, step: str, *, seconds: float = 60.0, short: bool = False) -> Fork:
    """A run that has come to `step`."""
    lane.gate.close_at(step)
    cron = lane.cron(seconds=seconds, short=short)
    assert lane.gate.reached.wait(PATIENCE), f"{step} was never reached: {lane.gate.steps} {cron.said}"
    return cron


def afterwards(lane: Lane, case: Case, cron: Fork, *ticks: object) -> Aftermath:
    """When the run has ended, those come who come anyway; then all is looked at."""
    cron.ended.result(PATIENCE)
    lock_is_free = lane.lock_is_free(LOCK_FREE_WITHIN)
    come(lane, case, *ticks, TOMORROW)
    return observed(lane, told_by(cron), lock_is_free=lock_is_free)


def come(lane: Lane, case: Case, *ticks: object) -> None:
    rounds = ticks if case.pooled else ("watchdog", *ticks)
    assert 0 == lane.rounds(*rounds).ended.result(PATIENCE)


def kill_cron(lane: Lane, case: Case) -> Aftermath:
    """SIGKILL; the scheduler goes on with what it was asked for."""
    cron = held(lane, case.step)
    cron.kill()
    lane.gate.open()
    return afterwards(lane, case, cron, AGAIN)


def kill_scheduler(lane: Lane, case: Case) -> Aftermath:
    """SIGKILL, and for this run there is no other."""
    cron = held(lane, case.step)
    lane.end_scheduler()
    lane.gate.open()
    return afterwards(lane, case, cron)


def replace_scheduler(lane: Lane, case: Case) -> Aftermath:
    """SIGKILL, and another one at its URL."""
    cron = held(lane, case.step)
    lane.scheduler().kill()
    lane.gate.open()
    lane.revive_scheduler()
    return afterwards(lane, case, cron)


def terminate(lane: Lane, case: Case) -> Aftermath:
    """`pg_terminate_backend` of those with the target's application name."""
    cron = held(lane, case.step)
    end_backends(lane, case.target)
    lane.gate.open()
    return afterwards(lane, case, cron)


def end_backends(lane: Lane, target: str) -> None:
    """And wait until they are gone. Behind a pooler a backend has the name of its last client."""
    ours = "FROM pg_stat_activity WHERE datname = current_database() AND application_name = %s"
    name = [f"reminders-{target}"]
    lane.superuser.execute(f"SELECT pg_terminate_backend(pid) {ours}".encode(), name)
    assert eventually(lambda: not lane.superuser.execute(f"SELECT {ours}".encode(), name).fetchall())


def cut(lane: Lane, case: Case) -> Aftermath:
    """The step's connection breaks: PostgreSQL has done it, the function never hears so."""
    cron = held(lane, case.step)
    lane.gate.open(answer_is_lost=True)
    return afterwards(lane, case, cron)


def freeze_cron(lane: Lane, case: Case) -> Aftermath:
    """SIGSTOP until the lease is over and everybody has come; then SIGCONT."""
    cron = held(lane, case.step, seconds=SECONDS, short=True)
    cron.freeze()
    lane.gate.open()
    time.sleep(SECONDS)
    lock_is_free = lane.lock_is_free(1)
    come(lane, case, AGAIN, TOMORROW)
    before = lane.tables()
    cron.thaw()
    cron.ended.result(PATIENCE)
    told = told_by(cron)
    left = observed(lane, FENCED if told in FENCING else told, lock_is_free=lock_is_free)
    return replace(left, late=changed(before, lane.tables()))


def freeze_scheduler(lane: Lane, case: Case) -> Aftermath:
    """SIGSTOP until the run has ended without it and everybody has come; then SIGCONT."""
    needed = case.step in until("scheduler: COMMIT 2")
    cron = held(lane, case.step, seconds=SECONDS if needed else 60, short=True)
    frozen = lane.scheduler()
    frozen.freeze()
    lane.gate.open()
    left = afterwards(lane, case, cron)
    before = lane.tables()
    frozen.thaw()
    # It takes up what it was asked while it was frozen, and then answers a stranger.
    assert 401 == httpx.post(f"{frozen.url.result()}/runs", timeout=PATIENCE).status_code
    assert lane.is_quiet("reminders-scheduler")
    lane.end_scheduler()
    return replace(left, late=changed(before, lane.tables()))


def changed(before: dict[str, list[str]], after: dict[str, list[str]]) -> tuple[str, ...]:
    return tuple(table for table in before if before[table] != after[table])


# Where a run holds its row, whoever declares it abandoned waits for the COMMIT.
COMMITS = {
    "scheduler: COMMIT": ("scheduler: hold_run", "scheduler: dispatch_batch"),
    "scheduler: COMMIT 2": ("scheduler: hold_run 2", "scheduler: dispatch_batch 2"),
    "ledger: COMMIT": ("ledger: settle_run", "ledger: failing_since", "ledger: write_alert"),
}
NEWS = {UUID(int=4 << 120): 12}


def overtake(lane: Lane, case: Case) -> Aftermath:
    """The lock is lost and a second run takes it; then there is more to do, and the first run goes on."""
    cron = held(lane, case.step)
    end_backends(lane, "lock")
    second = lane.rounds(AGAIN)
    for commit in (commit for commit, steps in COMMITS.items() if case.step in steps):
        assert eventually(lambda: somebody_waits(lane))
        lane.gate.move_to(commit)
    assert 0 == second.ended.result(PATIENCE)
    for assignment_id, gap in NEWS.items():
        lane.assign(assignment_id, gap)
    lane.gate.open()
    cron.ended.result(PATIENCE)
    lock_is_free = lane.lock_is_free(LOCK_FREE_WITHIN)
    assert 0 == lane.rounds(TOMORROW, "watchdog").ended.result(PATIENCE)
    return observed(lane, told_by(cron), lock_is_free=lock_is_free)


def somebody_waits(lane: Lane) -> bool:
    query = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    return bool(lane.superuser.execute(query).fetchall())


def restart_pooler(lane: Lane, case: Case) -> Aftermath:
    """At once; its clients are cut off."""
    cron = held(lane, case.step)
    assert lane.pooler
    lane.pooler.restart()
    lane.gate.open()
    return afterwards(lane, case, cron)


def restart_server(lane: Lane, case: Case) -> Aftermath:
    """An immediate shutdown, and a start with recovery."""
    cron = held(lane, case.step)
    lane.restart_server()
    lane.gate.open()
    return afterwards(lane, case, cron)
