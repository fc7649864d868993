"""
The watchdog: notices what no run can notice about itself.

    a run that does not end ─▶ overrun alert          a run whose process is gone ─▶ settled as failed
    a tick that left no row ─▶ missed_run alert       an alert still undelivered  ─▶ sent
    rows past their retention ─▶ pruned

It takes no lock, so it never stands in a run's way; each of its steps may be done by two watchdogs at once,
and happens once. A step that fails does not keep the others from being done.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from reminders import telemetry
from reminders.alerts.message import Alert, iso
from reminders.alerts.outbox import Outbox
from reminders.database import Connection, Queries
from reminders.errors import safe_message
from reminders.runs import JOB_NAME
from reminders.runs.ledger import Ledger, RunningRun
from reminders.runs.lock import LOCK_KEY
from reminders.runs.ticks import Ticks
from reminders.telemetry import logger

queries = Queries(__package__, "watchdog.sql")
Result = TypeVar("Result")

# No Lambda lives longer ("Lambda quotas": 900 s); the minute is for clocks and slow starts.
OLDEST_LIVING_RUN = timedelta(seconds=900 + 60)
PRUNE_BATCH = 1_000
DELIVERY_SECONDS = 20.0
RESERVE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class ScheduleState:
    """What EventBridge Scheduler says: whether it is enabled, and since when it is as it is (aware)."""

    enabled: bool
    since: datetime


@dataclass(frozen=True, slots=True)
class WatchdogRules:
    """The limits that the settings give."""

    overrun: timedelta
    grace: timedelta
    retention_days: int
    expression: str
    ticks: Ticks


@dataclass(frozen=True, slots=True)
class WatchdogDeps:
    """
    What the watchdog works with. `schedule` asks EventBridge, or gives None when it cannot be asked;
    `seconds_left` is the invocation's remaining time.
    """

    connection: Connection
    ledger: Ledger
    outbox: Outbox
    rules: WatchdogRules
    schedule: Callable[[], ScheduleState | None]
    seconds_left: Callable[[], float]


@dataclass(slots=True)
class WatchdogSummary:
    """What one round found: counts, and the missed tick if there was one."""

    overruns: int = 0
    rescued: int = 0
    missed_tick: str | None = None
    pruned: int = 0

    def as_json(self) -> dict[str, Any]:
        """Only JSON's own types."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _LastRuns:
    now: datetime
    last_tick: datetime | None
    last_success_at: datetime | None


def watch(deps: WatchdogDeps) -> WatchdogSummary:
    """One round. Raise the first step's error, after all steps had their turn."""
    summary, errors = WatchdogSummary(), list[Exception]()

    def step(name: str, work: Callable[[], Result], otherwise: Result) -> Result:
        try:
            return work()
        except Exception as error:
            logger.error("watchdog step failed", extra={"step": name, "reason": safe_message(error)})
            errors.append(error)
            return otherwise

    summary.overruns = step("overrun", lambda: _alert_overruns(deps), 0)
    summary.rescued = step("rescue", lambda: _rescue(deps), 0)
    summary.missed_tick = step("missed", lambda: _alert_missed_tick(deps), None)
    step("deliver", lambda: deps.outbox.deliver(deps.connection, DELIVERY_SECONDS), None)
    summary.pruned = step("prune", lambda: _prune(deps), 0)
    telemetry.count(WatchdogRounds=1, RunsRescued=summary.rescued, RunsMissed=int(summary.missed_tick is not None))
    if errors:
        raise errors[0]
    return summary


def _alert_overruns(deps: WatchdogDeps) -> int:
    """One alert for each run that has been going for too long. Before the rescue, which would hide it."""
    late = [run for run in deps.ledger.running() if run.age > deps.rules.overrun]
    return sum(_write_overrun(deps, run) for run in late)


def _write_overrun(deps: WatchdogDeps, run: RunningRun) -> bool:
    last = _last_runs(deps)
    minutes = int(run.age / timedelta(minutes=1))
    alert = Alert(
        kind="overrun",
        job_name=JOB_NAME,
        run_id=str(run.id),
        error_message=f"running for {minutes:,} minutes, since {run.started_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC",
        last_success_at=iso(last.last_success_at),
        scheduled_for=iso(run.scheduled_for),
    )
    return deps.outbox.write(deps.connection, alert, f"overrun:{run.id}", run.id)


def _rescue(deps: WatchdogDeps) -> int:
    """
    Settle the runs whose process is gone: nobody holds the lock, or they are older than any Lambda.

    The rows are read before the lock is looked at. A row seen 'running' had its lock then; when nobody holds
    it a moment later, the run has ended: properly, and then settling finds nothing to settle, or not.
    """
    running = deps.ledger.running()
    if not running:
        return 0
    held = bool(queries.value(deps.connection, "run_lock_is_held", key=LOCK_KEY))
    return deps.ledger.rescue([run for run in running if not held or run.age > OLDEST_LIVING_RUN])


def _alert_missed_tick(deps: WatchdogDeps) -> str | None:
    """One alert for the newest tick that should have left a row by now, and has not."""
    state = deps.schedule()
    if state is not None and not state.enabled:
        return None
    last = _last_runs(deps)
    # A rate begins anew when its schedule is changed; the old rhythm's ticks would be false alarms.
    known = max((m for m in (last.last_tick, state and state.since) if m), default=None)
    tick = deps.rules.ticks.last(last.now - deps.rules.grace, known)
    # A schedule that was made, changed or resumed after the tick did not have it.
    if tick is None or (state is not None and tick < state.since):
        return None
    if queries.value(deps.connection, "tick_has_a_row", tick=tick, job_name=JOB_NAME):
        return None
    alert = Alert(
        kind="missed_run",
        job_name=JOB_NAME,
        error_message=f"no run was started for the tick {tick:%Y-%m-%d %H:%M} UTC",
        last_success_at=iso(last.last_success_at),
        scheduled_for=iso(tick),
        schedule=deps.rules.expression,
    )
    return iso(tick) if deps.outbox.write(deps.connection, alert, f"missed_run:{iso(tick)}") else None


def _last_runs(deps: WatchdogDeps) -> _LastRuns:
    return queries.one(deps.connection, "last_runs", _LastRuns, job_name=JOB_NAME)


def _prune(deps: WatchdogDeps) -> int:
    """Batch by batch, each its own transaction, while there is time."""
    pruned = 0
    while deps.seconds_left() > RESERVE_SECONDS:
        gone = int(queries.value(deps.connection, "prune_runs", days=deps.rules.retention_days, at_most=PRUNE_BATCH))
        pruned += gone
        if gone < PRUNE_BATCH:
            break
    return pruned
