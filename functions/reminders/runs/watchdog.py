"""
The watchdog: notices what no run can notice about itself.

    a run that takes too long                 ─▶ overrun alert
    a run whose process has ended             ─▶ settled as failed
    a scheduled time whose work was not done  ─▶ missed_run alert
    messages that have waited for an hour     ─▶ message_backlog alert, and message_recovery when none waits any more
    an alert that is not delivered yet        ─▶ sent
    rows that are older than their retention  ─▶ deleted

The work of a scheduled time (a tick) is done when its run succeeded, or any run that was opened later, because each run
looks for everything that is overdue. The time at which a run was opened is the database's, so no row can make the work
of a later tick look done.

The watchdog takes no lock, so it never delays a run. Two watchdogs may run at once: each step still has its effect
once. If a step fails, the others are done.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from reminders import messages, telemetry
from reminders.alerts.message import Alert, iso
from reminders.alerts.outbox import Outbox
from reminders.database import Connection, Queries
from reminders.errors import safe_message
from reminders.limits import LIMITS, Limits
from reminders.messages import backlog
from reminders.runs import JOB_NAME
from reminders.runs.ledger import Ledger
from reminders.runs.records import CLOCK_SLACK, RunningRun
from reminders.runs.ticks import Ticks
from reminders.telemetry import logger
from reminders.text import printable

queries = Queries(__package__, "watchdog.sql")
Result = TypeVar("Result")
MINUTE = timedelta(minutes=1)

# No invocation lasts longer ("Lambda quotas": 900 s); the minute is for clocks and slow starts.
OLDEST_LIVING_RUN = timedelta(seconds=900 + 60)
PRUNE_BATCH = 1_000


@dataclass(frozen=True, slots=True)
class ScheduleState:
    """Whether the schedule is enabled, and since when it has this state (aware datetime)."""

    enabled: bool
    since: datetime


@dataclass(frozen=True, slots=True)
class WatchdogRules:
    """The limits that the settings give."""

    overrun: timedelta
    grace: timedelta
    retention_days: int
    message_retention_days: int
    expression: str
    ticks: Ticks


@dataclass(frozen=True, slots=True)
class WatchdogDeps:
    """
    What the watchdog works with. `schedule` reads EventBridge, or returns None if it cannot be reached;
    `seconds_left` is the invocation's remaining time.
    """

    connection: Connection
    ledger: Ledger
    outbox: Outbox
    rules: WatchdogRules
    schedule: Callable[[], ScheduleState | None]
    seconds_left: Callable[[], float]
    limits: Limits = LIMITS


@dataclass(slots=True)
class WatchdogSummary:
    """What the checks found: counts, and the missed tick if there was one."""

    overruns: int = 0
    rescued: int = 0
    missed_tick: str | None = None
    messages_waiting: int = 0
    pruned: int = 0
    messages_pruned: int = 0

    def as_json(self) -> dict[str, Any]:
        """Only JSON's own types."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _LastRuns:
    now: datetime
    last_tick: datetime | None  #: the newest scheduled time of a scheduled run, whatever its result
    last_success_tick: datetime | None  #: of a scheduled run that succeeded
    #: Of the newest success, scheduled or manual:
    last_success_started_at: datetime | None
    last_success_at: datetime | None
    last_success_scheduled_for: datetime | None

    def work_is_done(self, tick: datetime) -> bool:
        """Whether the newest success was a run of this tick, or was opened at or after it."""
        opened, scheduled_for = self.last_success_started_at, self.last_success_scheduled_for
        if opened is None or scheduled_for is None:
            return False
        return opened >= tick or (opened >= tick - CLOCK_SLACK and tick <= scheduled_for < tick + MINUTE)

    def known_tick(self, state: ScheduleState | None) -> datetime | None:
        """
        A time at which the schedule fired or began: the last scheduled success, or the schedule's last change if later.

        Other rows are the last choice: rows without a result can have any time, and a rate that is counted from them
        would never be late.
        """
        begun = [moment for moment in (self.last_success_tick, state and state.since) if moment]
        return max(begun, default=self.last_tick)


@dataclass(frozen=True, slots=True)
class LockHolder:
    """The session that holds the run lock; `since` is when its transaction or connection began."""

    pid: int
    role: str | None
    application_name: str | None
    since: datetime | None

    def __str__(self) -> str:
        name = printable(self.application_name or "")[:64] or "none"
        since = f"{self.since.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if self.since else "a time that is not visible"
        return f"pid {self.pid}, role {self.role or 'unknown'}, application name {name}, since {since}"


@dataclass(frozen=True, slots=True)
class _TickRows:
    rows: int
    skipped: int


def watch(deps: WatchdogDeps) -> WatchdogSummary:
    """Run every check once. Raise the first error after all checks have run."""
    summary, errors = WatchdogSummary(), list[Exception]()

    def step(name: str, work: Callable[[], Result], default: Result) -> Result:
        try:
            return work()
        except Exception as error:
            logger.error("watchdog step failed", extra={"step": name, "reason": safe_message(error)})
            errors.append(error)
            return default

    summary.overruns = step("overrun", lambda: _alert_overruns(deps), 0)
    summary.rescued = step("rescue", lambda: _rescue(deps), 0)
    summary.missed_tick = step("missed", lambda: _alert_missed_tick(deps), None)
    summary.messages_waiting = step("messages", lambda: _alert_backlog(deps), 0)
    step("deliver", lambda: deps.outbox.deliver(deps.connection, deps.limits.watchdog_delivery), None)
    summary.pruned = step("prune", lambda: _prune(deps, _prune_runs), 0)
    summary.messages_pruned = step("prune messages", lambda: _prune(deps, _prune_messages), 0)
    telemetry.count(WatchdogRounds=1, RunsRescued=summary.rescued, RunsMissed=int(summary.missed_tick is not None))
    if summary.messages_waiting:  # a metric costs by the hour, and many projects send no messages
        telemetry.count(MessagesLate=summary.messages_waiting)
    if errors:
        raise errors[0]
    return summary


def _alert_overruns(deps: WatchdogDeps) -> int:
    """One alert for each run that has been going for too long. Before the rescue, which would hide it."""
    late = [run for run in deps.ledger.running() if run.age > deps.rules.overrun]
    return sum(_write_overrun(deps, run) for run in late)


def _write_overrun(deps: WatchdogDeps, run: RunningRun) -> bool:
    last = _last_runs(deps)
    minutes = int(run.age / MINUTE)
    age = "1 minute" if minutes == 1 else f"{minutes:,} minutes"
    alert = Alert(
        kind="overrun",
        job_name=JOB_NAME,
        run_id=str(run.id),
        error_message=f"running for {age}, since {run.started_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC",
        last_success_at=iso(last.last_success_at),
        scheduled_for=iso(run.scheduled_for),
    )
    return deps.outbox.write(deps.connection, alert)


def _rescue(deps: WatchdogDeps) -> int:
    """
    Settle the runs whose process has ended: the lock is free, or they are older than any invocation can be.

    The rows are read before the lock. If a row is 'running' and the lock is free a moment later, the run has ended.
    If it ended normally, there is nothing left to settle.
    """
    running = deps.ledger.running()
    if not running:
        return 0
    holder = _lock_holder(deps)
    return deps.ledger.rescue([run for run in running if holder is None or run.age > OLDEST_LIVING_RUN])


def _lock_holder(deps: WatchdogDeps) -> LockHolder | None:
    return queries.first(deps.connection, "run_lock_holder", LockHolder)


def _alert_missed_tick(deps: WatchdogDeps) -> str | None:
    """One alert for the newest tick whose work should be done by now, and is not."""
    state = deps.schedule()
    if state is not None and not state.enabled:
        return None
    last = _last_runs(deps)
    ticks = _ticks_without_work(deps, last, state)
    reason = _why_missed(deps, ticks, last) if ticks else None
    if reason is None:
        return None
    alert = Alert(
        kind="missed_run",
        job_name=JOB_NAME,
        error_message=reason,
        last_success_at=iso(last.last_success_at),
        scheduled_for=iso(ticks[0]),
        schedule=deps.rules.expression,
    )
    return iso(ticks[0]) if deps.outbox.write(deps.connection, alert) else None


def _ticks_without_work(deps: WatchdogDeps, last: _LastRuns, state: ScheduleState | None) -> list[datetime]:
    """The ticks since the last one whose work was done, newest first; at most `policy.threshold`."""
    # A rate begins again when its schedule is changed; ticks of the old rate would be false alarms.
    known = last.known_tick(state)
    found: list[datetime] = []
    tick = deps.rules.ticks.last(last.now - deps.rules.grace, known)
    # A schedule that was created, changed or resumed after the tick did not fire at it.
    while tick and not last.work_is_done(tick) and not (state and tick < state.since):
        found.append(tick)
        if len(found) >= deps.outbox.policy.threshold:
            break
        tick = deps.rules.ticks.last(tick - MINUTE, known)
    return found


def _why_missed(deps: WatchdogDeps, ticks: list[datetime], last: _LastRuns) -> str | None:
    """The message about the newest tick; None if an alert about a failing or overlong run reports it already."""
    tick = f"{ticks[0]:%Y-%m-%d %H:%M} UTC"
    left = queries.one(deps.connection, "tick_rows", _TickRows, tick=ticks[0], job_name=JOB_NAME)
    if left.rows == 0:
        return f"no run was started at the scheduled time {tick}"
    if left.skipped == left.rows:
        holder = _lock_holder(deps)
        now = f"the run lock is held by {holder}" if holder else "the run lock, which another session held, is free now"
        return f"every run for the scheduled time {tick} was skipped; {now}"
    since = last.last_success_started_at
    if len(ticks) < deps.outbox.policy.threshold or queries.value(deps.connection, "failure_is_reported", since=since):
        return None
    count = "1 scheduled time has" if len(ticks) == 1 else f"{len(ticks):,} scheduled times have"
    return f"at least {count} passed since the last run that did its work"


def _last_runs(deps: WatchdogDeps) -> _LastRuns:
    return queries.one(deps.connection, "last_runs", _LastRuns, job_name=JOB_NAME)


def _alert_backlog(deps: WatchdogDeps) -> int:
    """One alert while messages wait, and one when none does any more; return how many wait."""
    found = backlog.read(deps.connection)
    if found.waiting and not found.is_reported:
        count = "1 message waits" if found.waiting == 1 else f"{found.waiting:,} messages wait"
        text = f"{count} for more than an hour; the oldest was due at {found.since:%Y-%m-%d %H:%M} UTC"
        deps.outbox.write(deps.connection, Alert("message_backlog", messages.JOB_NAME, error_message=text))
    elif not found.waiting and found.is_reported:
        deps.outbox.write(deps.connection, Alert("message_recovery", messages.JOB_NAME))
    return found.waiting


def _prune(deps: WatchdogDeps, prune: Callable[[WatchdogDeps], int]) -> int:
    """Batch by batch, each its own transaction, while there is time."""
    pruned = 0
    while deps.seconds_left() > deps.limits.watchdog_reserve:
        gone = prune(deps)
        pruned += gone
        if gone < PRUNE_BATCH:
            break
    return pruned


def _prune_runs(deps: WatchdogDeps) -> int:
    days = deps.rules.retention_days
    return int(queries.value(deps.connection, "prune_runs", days=days, at_most=PRUNE_BATCH))


def _prune_messages(deps: WatchdogDeps) -> int:
    return backlog.prune(deps.connection, deps.rules.message_retention_days, PRUNE_BATCH)
