"""
What `reminders status` concludes from facts: findings. Pure functions, so that tests need not wait for a state.

A problem makes the exit code 1; a note does not.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

from ops.cli import schedules
from ops.cli.ledger import Holder, Overview, Running
from ops.cli.messages import MessageOverview
from ops.cli.output import span
from ops.cli.schedules import Schedule
from ops.cli.targets.base import Failures

# A run is late when nothing has succeeded so long after its scheduled time: EventBridge, retries, the longest run.
LATE = timedelta(minutes=45)
# No run takes longer: Lambda's 15 minutes, and the lock's grace.
LONGEST_RUN = timedelta(minutes=16)
LONGEST_PAUSE = timedelta(days=1)
# The watchdog runs every 15 minutes and sends alerts that are due.
LONGEST_WAIT = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class Facts:
    """
    What the commands read. What could not be read is None, and `..unasked` has the reason.

    `failures` are the invocations that failed since the last success, `failed_rows` the ledger's rows of failed runs.
    """

    overview: Overview
    running: list[Running] = field(default_factory=list)
    holder: Holder | None = None
    schedule: Schedule | None = None
    unasked: str | None = None
    failures: Failures | None = field(default_factory=Failures)
    failures_unasked: str | None = None
    failed_rows: int = 0
    messages: MessageOverview = field(default_factory=MessageOverview)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to know, and what to do about it."""

    level: Literal["problem", "note"]
    name: str
    what: str
    fix: str


def findings(facts: Facts) -> list[Finding]:
    """Problems first."""
    every = [
        *_ledger(facts),
        *_unrecorded(facts),
        *_schedule(facts),
        *_processes(facts),
        *_alerts(facts),
        *_messages(facts),
    ]
    return sorted(every, key=lambda finding: finding.level == "note")


def is_healthy(found: list[Finding]) -> bool:
    return not any(finding.level == "problem" for finding in found)


def _ledger(facts: Facts) -> list[Finding]:
    seen, found = facts.overview, []
    if seen.last_success_at is None:
        fix = "`reminders doctor`, then `reminders run`."
        found.append(Finding("problem", "never_succeeded", "No run has ever succeeded.", fix))
    if seen.consecutive_failures:
        times = "run has" if seen.consecutive_failures == 1 else "runs in a row have"
        what = f"{seen.consecutive_failures} {times} failed: {seen.last_error}"
        fix = "See the runbook's Troubleshooting; the next successful run sends all late reminders."
        found.append(Finding("problem", "failing", what, fix))
    if seen.last_success_set_aside:
        what = f"The last run could not process {counted(seen.last_success_set_aside, 'assignment')}."
        fix = (
            "`reminders logs --functions` shows their ids; then see the runbook, 'Assignments that were not processed'."
        )
        found.append(Finding("note", "not_processed", what, fix))
    if seen.last_success_note:
        fix = "`reminders doctor` names the statuses and the SQL; then see the runbook, 'A run found nothing open'."
        found.append(Finding("problem", "nothing_open", f"The last run did nothing: {seen.last_success_note}.", fix))
    return found


def _unrecorded(facts: Facts) -> list[Finding]:
    """A run that could not reach the ledger left no row: the ledger alone would look healthy."""
    if facts.failures is None:
        what = f"Invocations that left no row were not counted. {facts.failures_unasked}".strip()
        return [Finding("note", "invocations_unknown", what, "Name a stack.")]
    missing = facts.failures.count - facts.failed_rows
    if missing <= 0:
        return []
    last = f" The newest: {facts.failures.last}" if facts.failures.last else ""
    what = f"{counted(missing, 'failed invocation')} since the last success left no row in the ledger.{last}"
    fix = "`reminders logs --functions` shows why; `reminders doctor` tries each function's login."
    return [Finding("problem", "unrecorded", what, fix)]


def counted(number: int, noun: str) -> str:
    """ "1 run", "2 runs"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _schedule(facts: Facts) -> list[Finding]:
    schedule, seen = facts.schedule, facts.overview
    if schedule is None:
        return [Finding("note", "schedule_unknown", facts.unasked or "The schedule was not read.", "Name a stack.")]
    if not schedule.enabled:
        long = seen.now - schedule.since > LONGEST_PAUSE
        what = f"The schedule is paused, for {span(seen.now - schedule.since)}."
        return [Finding("problem" if long else "note", "paused", what, "`reminders resume`.")]
    tick = schedules.last_tick(schedule, seen.now - LATE, seen.last_tick)
    if tick and not (seen.last_success_started_at and seen.last_success_started_at >= tick - timedelta(minutes=1)):
        fix = "`reminders run` sends all due reminders; then see the runbook, 'A run was missed'."
        return [
            Finding("problem", "late", f"No run has succeeded since the scheduled time {tick:%Y-%m-%d %H:%M} UTC.", fix)
        ]
    return []


def _processes(facts: Facts) -> list[Finding]:
    now, found = facts.overview.now, []
    for run in facts.running:
        age = now - run.started_at
        if facts.holder is None or age > LONGEST_RUN:
            what = f"Run {run.id} has had the status 'running' for {span(age)}, but its process has ended."
            found.append(
                Finding(
                    "problem", "abandoned", what, "The watchdog or the next run marks it as failed: `reminders run`."
                )
            )
    held = facts.holder
    if held and not facts.running and held.since and now - held.since > timedelta(minutes=1):
        who = f"pid {held.pid}, role {held.role}, {held.application_name}"
        what = f"The run lock is held for {span(now - held.since)} by {who}, but no run is running."
        found.append(Finding("problem", "stuck_lock", what, "`reminders unlock`."))
    return found


def _alerts(facts: Facts) -> list[Finding]:
    seen = facts.overview
    if not seen.undelivered:
        return []
    waiting = seen.now - (seen.undelivered_since or seen.now)
    level: Literal["problem", "note"] = "problem" if seen.undelivered_error or waiting > LONGEST_WAIT else "note"
    why = f": {seen.undelivered_error}" if seen.undelivered_error else ""
    are = "is" if seen.undelivered == 1 else "are"
    what = f"{counted(seen.undelivered, 'alert')} {are} not delivered, the oldest for {span(waiting)}{why}."
    return [Finding(level, "undelivered", what, "`reminders alert-test` shows which channel fails.")]


def _messages(facts: Facts) -> list[Finding]:
    """Only where messages are sent at all."""
    seen, found = facts.messages, []
    if seen.late:
        are = "message is" if seen.late == 1 else "messages are"
        what = f"{seen.late:,} {are} more than an hour late."
        found.append(Finding("problem", "messages_late", what, "`reminders messages` shows the last errors."))
    if seen.in_use and seen.unreachable:
        people = "1 person" if seen.unreachable == 1 else f"{seen.unreachable:,} people"
        what = f"{people} could not be reached: no address, all turned off, or each message failed."
        fix = "They see the reminder in the app. The console lists them and says why; see also the runbook, 'Messages'."
        found.append(Finding("note", "unreachable", what, fix))
    return found
