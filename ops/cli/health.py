"""
What `reminders status` concludes from facts: findings. Pure functions, so that tests need not wait for a state.

A problem makes the exit code 1; a note does not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Literal

from ops.cli import schedules
from ops.cli.ledger import Holder, Overview, Running
from ops.cli.messages import MessageOverview
from ops.cli.output import span
from ops.cli.schedules import Schedule
from ops.cli.targets.base import Failures

# How long after its scheduled time a run may succeed before it counts as late: EventBridge, retries, the longest run.
LATE = timedelta(minutes=45)
# The longest time that a run can take: Lambda's 15 minutes, and the lock's grace.
LONGEST_RUN = timedelta(minutes=16)
LONGEST_PAUSE = timedelta(days=1)
# The watchdog runs every 15 minutes and sends alerts that are due.
LONGEST_WAIT = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class Facts:
    """
    What the commands read. `schedule` and `failures` are None if they could not be read; `..._error` has the reason.

    `failures` are the invocations that failed since the last success, `failed_rows` the ledger's rows of failed runs.
    """

    overview: Overview
    running: list[Running] = field(default_factory=list)
    holder: Holder | None = None
    schedule: Schedule | None = None
    schedule_error: str | None = None
    failures: Failures | None = field(default_factory=Failures)
    failures_error: str | None = None
    failed_rows: int = 0
    messages: MessageOverview = field(default_factory=MessageOverview)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to know, and what to do about it."""

    level: Literal["problem", "note"]
    name: str
    what: str
    fix: str


problem, note = partial(Finding, "problem"), partial(Finding, "note")


def findings(facts: Facts) -> list[Finding]:
    """Problems first."""
    checks = (_ledger, _unrecorded, _schedule, _processes, _alerts, _messages)
    every = [finding for check in checks for finding in check(facts)]
    return sorted(every, key=lambda finding: finding.level == "note")


def is_healthy(found: list[Finding]) -> bool:
    return not any(finding.level == "problem" for finding in found)


def counted(number: int, noun: str) -> str:
    """ "1 run", "2 runs"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _ledger(facts: Facts) -> Iterator[Finding]:
    seen = facts.overview
    if seen.last_success_at is None:
        yield problem("never_succeeded", "No run has ever succeeded.", "`reminders doctor`, then `reminders run`.")
    if seen.consecutive_failures:
        times = "run has" if seen.consecutive_failures == 1 else "runs in a row have"
        what = f"{seen.consecutive_failures} {times} failed: {seen.last_error}"
        fix = "See the runbook's Troubleshooting; the next successful run sends all late reminders."
        yield problem("failing", what, fix)
    if seen.last_success_set_aside:
        what = f"The last run could not process {counted(seen.last_success_set_aside, 'assignment')}."
        where = "then see the runbook, 'Assignments that were not processed'."
        yield note("not_processed", what, f"`reminders logs --functions` shows their ids; {where}")
    if seen.last_success_note:
        fix = "`reminders doctor` names the statuses and the SQL; then see the runbook, 'A run found nothing open'."
        yield problem("nothing_open", f"The last run did nothing: {seen.last_success_note}.", fix)


def _unrecorded(facts: Facts) -> Iterator[Finding]:
    """A run that could not reach the ledger left no row: the ledger alone would look healthy."""
    if facts.failures is None:
        what = f"Invocations that left no row were not counted. {facts.failures_error}".strip()
        yield note("invocations_unknown", what, "Name a stack.")
    elif (missing := facts.failures.count - facts.failed_rows) > 0:
        last = f" The newest: {facts.failures.last}" if facts.failures.last else ""
        what = f"{counted(missing, 'failed invocation')} since the last success left no row in the ledger.{last}"
        fix = "`reminders logs --functions` shows why; `reminders doctor` tries each function's login."
        yield problem("unrecorded", what, fix)


def _schedule(facts: Facts) -> Iterator[Finding]:
    schedule, seen = facts.schedule, facts.overview
    if schedule is None:
        yield note("schedule_unknown", facts.schedule_error or "The schedule was not read.", "Name a stack.")
        return
    if not schedule.enabled:
        paused = seen.now - schedule.since
        level = problem if paused > LONGEST_PAUSE else note
        yield level("paused", f"The schedule is paused, for {span(paused)}.", "`reminders resume`.")
        return
    tick = schedules.last_tick(schedule, seen.now - LATE, seen.last_tick)
    if tick and not (seen.last_success_started_at and seen.last_success_started_at >= tick - timedelta(minutes=1)):
        fix = "`reminders run` sends all due reminders; then see the runbook, 'A run was missed'."
        yield problem("late", f"No run has succeeded since the scheduled time {tick:%Y-%m-%d %H:%M} UTC.", fix)


def _processes(facts: Facts) -> Iterator[Finding]:
    now, held = facts.overview.now, facts.holder
    for run in facts.running:
        age = now - run.started_at
        if held is None or age > LONGEST_RUN:
            what = f"Run {run.id} has had the status 'running' for {span(age)}, but its process has ended."
            yield problem("abandoned", what, "The watchdog or the next run marks it as failed: `reminders run`.")
    if held and not facts.running and held.since and now - held.since > timedelta(minutes=1):
        what = f"The run lock is held for {span(now - held.since)} by {held}, but no run is running."
        yield problem("stuck_lock", what, "`reminders unlock`.")


def _alerts(facts: Facts) -> Iterator[Finding]:
    seen = facts.overview
    if seen.undelivered:
        waiting = seen.now - (seen.undelivered_since or seen.now)
        level = problem if seen.undelivered_error or waiting > LONGEST_WAIT else note
        why = f": {seen.undelivered_error}" if seen.undelivered_error else ""
        are = "is" if seen.undelivered == 1 else "are"
        what = f"{counted(seen.undelivered, 'alert')} {are} not delivered, the oldest for {span(waiting)}{why}."
        yield level("undelivered", what, "`reminders alert-test` shows which channel fails.")


def _messages(facts: Facts) -> Iterator[Finding]:
    """Only where messages are sent at all."""
    seen = facts.messages
    if seen.late:
        are = "is" if seen.late == 1 else "are"
        what = f"{counted(seen.late, 'message')} {are} more than an hour late."
        yield problem("messages_late", what, "`reminders messages` shows the last errors.")
    if seen.in_use and seen.unreachable:
        people = "1 person" if seen.unreachable == 1 else f"{seen.unreachable:,} people"
        why = "they have no address, have switched off messages, every message to them failed, or none was made in time"
        what = f"{people} could not be reached: {why}."
        fix = "They see the reminder in the app. The console lists them and says why; see also the runbook, 'Messages'."
        yield note("unreachable", what, fix)
