"""
Every step of a run, in order, as `statement_barrier.py` names them.

`test_steps.py` holds this list equal to what a run really sends: a new statement cannot be forgotten
here. Each fault module chooses its steps from this list.
"""

from __future__ import annotations

STEPS = [
    "lock: connect",
    "ledger: connect",
    "ledger: clock",
    "lock: BEGIN",
    "lock: try_run_lock",
    "ledger: running_runs",
    "ledger: open_run",
    "ledger: shard_bounds",
    "scheduler: connect",
    "scheduler: project",
    "scheduler: BEGIN",
    "scheduler: limits",
    "scheduler: hold_run",
    "scheduler: dispatch_batch",
    "scheduler: COMMIT",
    "scheduler: BEGIN 2",
    "scheduler: limits 2",
    "scheduler: hold_run 2",
    "scheduler: dispatch_batch 2",
    "scheduler: COMMIT 2",
    "ledger: BEGIN",
    "ledger: limits",
    "ledger: settle_run",
    "ledger: failing_since",
    "ledger: write_alert",
    "ledger: COMMIT",
    "ledger: waiting_channels",
    "outbox: connect",
    "outbox: BEGIN",
    "outbox: limits",
    "outbox: claim_delivery",
    "outbox: mark_delivered",
    "outbox: COMMIT",
    "outbox: BEGIN 2",
    "outbox: limits 2",
    "outbox: claim_delivery 2",
    "outbox: COMMIT 2",
    "lock: ROLLBACK",
]


def since(first: str) -> list[str]:
    """The steps from `first` on."""
    return STEPS[STEPS.index(first) :]


def until(last: str) -> list[str]:
    """The steps up to `last`, itself included."""
    return STEPS[: STEPS.index(last) + 1]


def between(first: str, last: str) -> list[str]:
    """The steps from `first` to `last`, both included."""
    return [step for step in since(first) if step in until(last)]


# From the moment on that the run is visible until the scheduler has done its part.
DISPATCHING = between("ledger: open_run", "scheduler: COMMIT 2")
# From the first step until the run's own result is committed; what follows is the alert's.
UNTIL_SETTLED = until("ledger: COMMIT")
