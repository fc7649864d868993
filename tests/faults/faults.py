"""
The faults: each starts a run, waits until the barrier holds its step, makes the fault, and releases the step.

Later invocations follow: the watchdog (not through the pooler), the same scheduled time again where the cron function's
own process died or was paused (Lambda retries it), and tomorrow's.
"""

from __future__ import annotations

import time
from dataclasses import replace
from uuid import UUID

import httpx

from tests.faults.case_runner import Case
from tests.faults.environment import AGAIN, TOMORROW, FaultEnvironment
from tests.faults.outcome import Outcome, observe, result_of
from tests.faults.processes import Process
from tests.faults.steps import until
from tests.helpers.waiting import eventually

LOCK_FREE_WITHIN = 3.0  # seconds after a run's end
PATIENCE = 9.0
SECONDS = 3.5  # of an invocation whose time is to run out: enough to come to its step on a busy machine
# What a run that was declared abandoned meanwhile may raise: its time is over as well.
FENCED, FENCED_ERRORS = "fenced off", ("DeadlineExceeded", "RunSettledElsewhere")


def run_held_at(env: FaultEnvironment, step: str, *, seconds: float = 60.0, short: bool = False) -> Process:
    """A run that has reached `step` and is held there."""
    env.barrier.hold_at(step)
    cron = env.cron(seconds=seconds, short=short)
    assert env.barrier.reached.wait(PATIENCE), f"{step} was never reached: {env.barrier.steps} {cron.reports}"
    return cron


def finish(env: FaultEnvironment, case: Case, cron: Process, *ticks: object) -> Outcome:
    """Wait for the run's end, make the later invocations, and observe what is left."""
    cron.ended.result(PATIENCE)
    lock_is_free = env.lock_is_free(LOCK_FREE_WITHIN)
    invoke_later_events(env, case, *ticks, TOMORROW)
    return observe(env, result_of(cron), lock_is_free=lock_is_free)


def invoke_later_events(env: FaultEnvironment, case: Case, *ticks: object) -> None:
    invocations = ticks if case.pooled else ("watchdog", *ticks)
    assert 0 == env.invocations(*invocations).ended.result(PATIENCE)


def kill_cron(env: FaultEnvironment, case: Case) -> Outcome:
    """SIGKILL; the scheduler finishes the call that it has."""
    cron = run_held_at(env, case.step)
    cron.kill()
    env.barrier.release()
    return finish(env, case, cron, AGAIN)


def kill_scheduler(env: FaultEnvironment, case: Case) -> Outcome:
    """SIGKILL; this run finds no other scheduler."""
    cron = run_held_at(env, case.step)
    env.kill_scheduler()
    env.barrier.release()
    return finish(env, case, cron)


def replace_scheduler(env: FaultEnvironment, case: Case) -> Outcome:
    """SIGKILL, then another process at the same URL."""
    cron = run_held_at(env, case.step)
    env.scheduler().kill()
    env.barrier.release()
    env.replace_scheduler()
    return finish(env, case, cron)


def terminate(env: FaultEnvironment, case: Case) -> Outcome:
    """`pg_terminate_backend` for the connections with the target's application name."""
    cron = run_held_at(env, case.step)
    end_backends(env, case.target)
    env.barrier.release()
    return finish(env, case, cron)


def end_backends(env: FaultEnvironment, target: str) -> None:
    """
    Terminate them and wait until they are gone. Behind a pooler a backend has the name of its last client.

    The lock and the ledger connect at once: while one is held, the other may still be on its way.
    """
    assert eventually(lambda: f"{target}: connect" in env.barrier.steps)
    ours = "FROM pg_stat_activity WHERE datname = current_database() AND application_name = %s"
    name = [f"reminders-{target}"]
    env.superuser.execute(f"SELECT pg_terminate_backend(pid) {ours}".encode(), name)
    assert eventually(lambda: not env.superuser.execute(f"SELECT {ours}".encode(), name).fetchall())


def lose_answer(env: FaultEnvironment, case: Case) -> Outcome:
    """Break the step's connection: PostgreSQL has done the statement, the function never receives the answer."""
    cron = run_held_at(env, case.step)
    env.barrier.release(answer_is_lost=True)
    return finish(env, case, cron)


def pause_cron(env: FaultEnvironment, case: Case) -> Outcome:
    """SIGSTOP until the lease is over and the later invocations are done; then SIGCONT."""
    cron = run_held_at(env, case.step, seconds=SECONDS, short=True)
    cron.pause()
    env.barrier.release()
    time.sleep(SECONDS)
    lock_is_free = env.lock_is_free(1)
    invoke_later_events(env, case, AGAIN, TOMORROW)
    before = env.tables()
    cron.resume()
    cron.ended.result(PATIENCE)
    result = result_of(cron)
    left = observe(env, FENCED if result in FENCED_ERRORS else result, lock_is_free=lock_is_free)
    return replace(left, changed_after_resume=changed(before, env.tables()))


def pause_scheduler(env: FaultEnvironment, case: Case) -> Outcome:
    """SIGSTOP until the run has ended without it and the later invocations are done; then SIGCONT."""
    needed = case.step in until("scheduler: COMMIT 2")
    cron = run_held_at(env, case.step, seconds=SECONDS if needed else 60, short=True)
    paused = env.scheduler()
    paused.pause()
    env.barrier.release()
    left = finish(env, case, cron)
    before = env.tables()
    paused.resume()
    # It first works on the call that arrived while it was paused, then answers this one, which has no token.
    assert 401 == httpx.post(f"{paused.url.result()}/runs", timeout=PATIENCE).status_code
    assert env.is_quiet("reminders-scheduler")
    env.kill_scheduler()
    return replace(left, changed_after_resume=changed(before, env.tables()))


def changed(before: dict[str, list[str]], after: dict[str, list[str]]) -> tuple[str, ...]:
    return tuple(table for table in before if before[table] != after[table])


# While a run holds its row, the process that declares it abandoned waits for the COMMIT.
COMMITS = {
    "scheduler: COMMIT": ("scheduler: hold_run", "scheduler: dispatch_batch"),
    "scheduler: COMMIT 2": ("scheduler: hold_run 2", "scheduler: dispatch_batch 2"),
    "ledger: COMMIT": ("ledger: settle_run", "ledger: failing_since", "ledger: write_alert"),
}
NEWLY_DUE = {UUID(int=4 << 120): 12}


def overtake(env: FaultEnvironment, case: Case) -> Outcome:
    """Lose the lock to a second run, make another reminder due, and let the first run go on."""
    cron = run_held_at(env, case.step)
    end_backends(env, "lock")
    second = env.invocations(AGAIN)
    for commit in (commit for commit, steps in COMMITS.items() if case.step in steps):
        assert eventually(lambda: a_session_waits(env))
        env.barrier.move_to(commit)
    assert 0 == second.ended.result(PATIENCE)
    for assignment_id, gap in NEWLY_DUE.items():
        env.assign(assignment_id, gap)
    env.barrier.release()
    cron.ended.result(PATIENCE)
    lock_is_free = env.lock_is_free(LOCK_FREE_WITHIN)
    assert 0 == env.invocations(TOMORROW, "watchdog").ended.result(PATIENCE)
    return observe(env, result_of(cron), lock_is_free=lock_is_free)


def a_session_waits(env: FaultEnvironment) -> bool:
    query = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    return bool(env.superuser.execute(query).fetchall())


def restart_pooler(env: FaultEnvironment, case: Case) -> Outcome:
    """Restart PgBouncer; its clients lose their connections."""
    cron = run_held_at(env, case.step)
    assert env.pooler
    env.pooler.restart()
    env.barrier.release()
    return finish(env, case, cron)


def restart_server(env: FaultEnvironment, case: Case) -> Outcome:
    """Shut PostgreSQL down immediately, and start it with recovery."""
    cron = run_held_at(env, case.step)
    env.restart_server()
    env.barrier.release()
    return finish(env, case, cron)
