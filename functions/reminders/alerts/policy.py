"""
Which results of a run cause an alert, and when a delivery is retried. Pure rules, without a database.

    failures   1   2   3   4   5   then a success      (ALERT_THRESHOLD 2, ALERT_REPEAT_EVERY 3)
    alert          failure     repeat     recovery
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

Kind = Literal[
    "failure",
    "repeat",
    "recovery",
    "missed_run",
    "overrun",
    "message_backlog",
    "message_recovery",
    "message_failure",
    "test",
]

FIRST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(hours=1)
# Only a person can repair a webhook that no longer exists. Four attempts a day find out when it is repaired.
PERMANENT_PAUSE = timedelta(hours=6)


@dataclass(frozen=True, slots=True)
class RunResult:
    """
    A run that has just been settled, and the state before it.

    `failures` and `failures_before`: the consecutive failure counts of this run and of the settled one
    before. Times are aware. `last_success_started_at` and `last_success_at` (completed) are of the last
    success before this run.
    """

    run_id: UUID
    succeeded: bool
    failures: int
    failures_before: int
    error_message: str | None
    scheduled_for: datetime
    completed_at: datetime
    last_success_started_at: datetime | None
    last_success_at: datetime | None


@dataclass(frozen=True, slots=True)
class Policy:
    """`threshold` failures in a row cause an alert, then every `repeat_every` further ones (0: no more)."""

    threshold: int = 2
    repeat_every: int = 0

    def kind_of(self, result: RunResult) -> Kind | None:
        """
        The alert that `result` causes, if any.

        Only a failure that raised the count can cause an alert. A retry of a scheduled time that has failed already is
        not counted again.
        """
        if result.succeeded:
            return "recovery" if result.failures_before >= self.threshold else None
        if result.failures <= result.failures_before:
            return None
        if result.failures == self.threshold:
            return "failure"
        further = result.failures - self.threshold
        if self.repeat_every and further > 0 and further % self.repeat_every == 0:
            return "repeat"
        return None


def pause_after(attempts: int, *, permanent: bool, retry_after: timedelta | None = None) -> timedelta:
    """How long to wait after the `attempts`-th failed attempt (from 1): doubling from a minute to an hour."""
    if permanent:
        return PERMANENT_PAUSE
    pause: timedelta = min(FIRST_PAUSE * 2 ** min(attempts - 1, 10), LONGEST_PAUSE)
    return max(pause, retry_after or pause)
