"""
Whether the job works: one sentence for the people of a charity, the reason, and what to do.

The facts come from the ledger and the schedule. Engineers use `reminders status`, which shows more.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from reminders.console.formats import Formats
from reminders.console.reading import Overview

# How long after its scheduled time a run may succeed before it is late: EventBridge, retries, the longest run.
LATE = timedelta(minutes=45)
# Twice what Lambda allows. A run that is older has ended without a result.
LONGEST_RUN = timedelta(minutes=30)
# How long after its row was settled a run may still hold the lock.
RELEASED = timedelta(minutes=1)
_ENGINEERS = "The engineers are alerted automatically. You do not have to do anything."


@dataclass(frozen=True, slots=True)
class Verdict:
    """`level`: good, attention or problem. `sentence` is the answer, `why` has the facts."""

    level: str
    sentence: str
    why: str


def verdict(seen: Overview, last_due: datetime | None, formats: Formats) -> Verdict:
    """`last_due`: the newest time at which a run should have started; None if it is not known."""
    if seen.lock_pid and not seen.running_since and _ended_long_ago(seen):
        why = (
            f"The run lock is held by a session (pid {seen.lock_pid}), but no run is running. Until it is freed, no "
            "reminders are sent. Ask an engineer for `reminders unlock`."
        )
        return Verdict("problem", "No run can start.", why)
    if seen.succeeded_at is None or seen.success_started_at is None:
        return _never(seen)
    last = f"The last complete run ended {formats.moment(seen.succeeded_at).local}"
    if seen.running_since and seen.now - seen.running_since > LONGEST_RUN:
        why = f"A run has been going since {formats.moment(seen.running_since).local}. {last}. {_ENGINEERS}"
        return Verdict("problem", "A run does not end.", why)
    if seen.last_failed:
        runs = formats.counted(seen.failures or 1, "run")
        why = f"{last}. Since then {runs} failed. Nothing is lost: the next run sends what is late. {_ENGINEERS}"
        return Verdict("problem", "The last run failed, so reminders are late.", why)
    if last_due and last_due < seen.now - LATE and seen.success_started_at < last_due - timedelta(minutes=1):
        due = formats.moment(last_due).local
        why = f"A run was due {due} and has not succeeded. {last}. Nothing is lost: the next run sends what is late."
        return Verdict("problem", "Reminders are late.", f"{why} {_ENGINEERS}")
    sent = formats.counted(seen.dispatched or 0, "reminder or alert", "reminders and alerts")
    if seen.failed:
        what = formats.counted(seen.failed, "assignment")
        why = f"{last}. It sent {sent}. The engineers can see which ones; the next run tries them again."
        return Verdict("attention", f"The reminders work, but {what} could not be checked.", why)
    if seen.unreached:
        who = formats.counted(seen.unreached, "person", "people")
        why = f"{last}. It sent {sent}. Who it is, and why, is below."
        return Verdict("attention", f"The reminders work, but {who} could not be reached.", why)
    return Verdict("good", "All is well.", f"{last}. It sent {sent}.")


def _ended_long_ago(seen: Overview) -> bool:
    return seen.last_ended_at is None or seen.now - seen.last_ended_at > RELEASED


def _never(seen: Overview) -> Verdict:
    if seen.last_failed:
        return Verdict("problem", "No run has succeeded yet.", f"Each run so far has failed. {_ENGINEERS}")
    return Verdict("attention", "No run has taken place yet.", "The first one starts at the next scheduled time.")
