"""
The content of an alert: its payload in the outbox, and its text, the same for every channel.

Ids, counts, times and safe messages only; no personal data (docs/architecture.md#no-personal-data).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from reminders.alerts.policy import Kind
from reminders.text import printable

RUNBOOK = "docs/operations/cron-reminder-runbook.md"


@dataclass(frozen=True, slots=True)
class Origin:
    """The deployment that sends an alert. Not in the payload: a deployment sends its own alerts only."""

    stack: str | None = None
    runbook_url: str | None = None

    @property
    def runbook(self) -> str:
        """The runbook's address, or its path in the repository."""
        return self.runbook_url or RUNBOOK

    def headline(self, alert: Alert) -> str:
        """The alert's headline, after the stack's name."""
        marks = [f"[{mark}] " for mark in ("test" if alert.kind == "test" else None, self.stack) if mark]
        return "".join([*marks, alert.headline])


NO_ORIGIN = Origin()


@dataclass(frozen=True, slots=True)
class Alert:
    """
    One thing the operators must know.

    Times are ISO 8601 in UTC, as in the payload. `scheduled_for` is the scheduled time, `schedule` the expression.
    """

    kind: Kind
    job_name: str
    run_id: str | None = None
    error_message: str | None = None
    consecutive_failure_count: int = 0
    failing_since: str | None = None
    last_success_at: str | None = None
    scheduled_for: str | None = None
    schedule: str | None = None

    def payload(self) -> dict[str, Any]:
        """Only JSON's own types."""
        return asdict(self)

    @classmethod
    def from_payload(cls, payload: dict[str, Any]) -> Alert:
        """
        The alert in a row of the outbox; keys of other versions are ignored.

        Raise `TypeError` or `ValueError` for a payload from which no message can be made.
        """
        alert = cls(**{key: payload[key] for key in cls.__dataclass_fields__ if key in payload})
        alert.text()
        return alert

    @property
    def headline(self) -> str:
        """One line, no more than some 100 characters."""
        return printable(f"{self.job_name}: {_HEADLINES.get(self.kind, _unknown_kind)(self.consecutive_failure_count)}")

    @property
    def last_success(self) -> str:
        """ "Last successful run: …", for a reader."""
        return f"Last successful run: {_readable(self.last_success_at) or 'none on record'}"

    def details(self) -> list[tuple[str, str]]:
        """Labels and printable values of the fields that have one, in reading order."""
        fields = [
            ("Error", self.error_message),
            ("Consecutive failures", str(self.consecutive_failure_count) if self.consecutive_failure_count else None),
            ("Failing since", _readable(self.failing_since)),
            ("Scheduled time", _readable(self.scheduled_for)),
            ("Schedule", self.schedule),
            ("Run", self.run_id),
        ]
        return [(label, printable(value)) for label, value in fields if value]

    def text(self, origin: Origin = NO_ORIGIN) -> str:
        """The whole message as plain text."""
        lines = [self.headline, "", *(f"{label}: {value}" for label, value in self.details())]
        stack = [f"Stack: {origin.stack}"] if origin.stack else []
        return "\n".join([*lines, *stack, self.last_success, "", self._advice(), f"Runbook: {origin.runbook}"])

    def _advice(self) -> str:
        if self.kind == "failure" and not self.consecutive_failure_count:
            return _UNRECORDED
        return _ADVICE.get(self.kind, "See the runbook.")


def _failure(failures: int) -> str:
    if not failures:
        return "a failure that the ledger does not record"
    return "1 run has failed" if failures == 1 else f"{failures:,} runs in a row have failed"


def _recovery(failures: int) -> str:
    if not failures:
        return "has recovered"
    return f"has recovered after {failures:,} failed {'run' if failures == 1 else 'runs'}"


def _unknown_kind(_: int) -> str:
    return "an alert of a kind that this version does not know"


# By the number of consecutive failures.
_HEADLINES: dict[Kind, Callable[[int], str]] = {
    "failure": _failure,
    "repeat": lambda failures: f"still failing, {failures:,} {'run' if failures == 1 else 'runs'} in a row",
    "recovery": _recovery,
    "missed_run": lambda _: "a scheduled run did not do its work",
    "overrun": lambda _: "a run has been going for too long",
    "message_backlog": lambda _: "messages are not sent in time",
    "message_recovery": lambda _: "messages are sent in time again",
    "message_failure": lambda _: "a channel refuses messages",
    "test": lambda _: "this is a test alert, nothing is wrong",
}
# Of the watchdog, for example: it is not known whether reminders are late.
_UNRECORDED = "Reminders may be late, but none is lost. The next successful run sends all that are due."
_ADVICE: dict[Kind, str] = {
    "failure": "Reminders are late, but none is lost. The next successful run sends all that are due.",
    "repeat": "Reminders are late, but none is lost. The next successful run sends all that are due.",
    "recovery": "You have nothing to do. This run sent all late reminders.",
    "missed_run": "`reminders status` shows the schedule and the lock. `reminders run` sends the late reminders now.",
    "overrun": "Its process has probably ended. The watchdog marks the run as failed, and the next run sends the rest.",
    "message_backlog": "`reminders messages` counts them, and shows the last errors. Reminders can be read in the app.",
    "message_recovery": "You have nothing to do.",
    "message_failure": "These wait until the cause is removed. Those that are 24 hours late by then are not sent.",
    "test": "If you can read this, the channel works.",
}


def iso(moment: datetime | None) -> str | None:
    """A payload's time: ISO 8601, UTC, whole seconds."""
    return moment.astimezone(UTC).replace(microsecond=0).isoformat().replace("+00:00", "Z") if moment else None


def _readable(moment: str | None) -> str | None:
    return moment and f"{datetime.fromisoformat(moment):%Y-%m-%d %H:%M:%S} UTC"
