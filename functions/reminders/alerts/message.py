"""
What an alert says: its payload, as it lies in the outbox, and its words, the same for every channel.

Ids, counts, times and safe messages only; no personal data (docs/architecture.md#no-personal-data).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from reminders.alerts.policy import Kind
from reminders.text import printable

RUNBOOK = "docs/operations/cron-reminder-runbook.md"


@dataclass(frozen=True, slots=True)
class Alert:
    """
    One thing the operators must know.

    Times are ISO 8601 in UTC, as they lie in the payload. `schedule` and `scheduled_for` tell of a tick.
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
        """The alert in a row of the outbox; keys of other versions are passed over."""
        return cls(**{key: payload[key] for key in cls.__dataclass_fields__ if key in payload})

    @property
    def headline(self) -> str:
        """One line, no more than some 100 characters."""
        if self.kind == "failure" and not self.consecutive_failure_count:
            return printable(f"{self.job_name}: a run could not even begin")
        return printable(f"{self.job_name}: {_HEADLINES[self.kind].format(**asdict(self))}")

    @property
    def last_success(self) -> str:
        """ "Last successful run: …", for a reader."""
        return f"Last successful run: {_readable(self.last_success_at) or 'none on record'}"

    def details(self) -> list[tuple[str, str]]:
        """Label and printable value of what is known, in reading order."""
        told = [
            ("Error", self.error_message),
            ("Consecutive failures", str(self.consecutive_failure_count) if self.consecutive_failure_count else None),
            ("Failing since", _readable(self.failing_since)),
            ("Tick", _readable(self.scheduled_for)),
            ("Schedule", self.schedule),
            ("Run", self.run_id),
        ]
        return [(label, printable(value)) for label, value in told if value]

    def text(self) -> str:
        """The whole message as plain text."""
        lines = [self.headline, "", *(f"{label}: {value}" for label, value in self.details())]
        return "\n".join([*lines, self.last_success, "", _ADVICE[self.kind], f"Runbook: {RUNBOOK}"])


_HEADLINES: dict[Kind, str] = {
    "failure": "{consecutive_failure_count} runs in a row have failed",
    "repeat": "still failing, {consecutive_failure_count} runs in a row",
    "recovery": "has recovered",
    "missed_run": "a scheduled run never came",
    "overrun": "a run does not end",
    "test": "this is a test alert, nothing is wrong",
}
_ADVICE: dict[Kind, str] = {
    "failure": "Reminders are late, none is lost: the next successful run sends all that are due.",
    "repeat": "Reminders are late, none is lost: the next successful run sends all that are due.",
    "recovery": "Nothing is to be done. Reminders that were late have gone out with this run.",
    "missed_run": "Check that the schedule is enabled and may invoke the function; a run by hand helps at once.",
    "overrun": "Its process is probably gone. The watchdog settles it; the next run does what it left.",
    "test": "If you can read this, the channel works.",
}


def iso(moment: datetime | None) -> str | None:
    """A payload's time: ISO 8601, UTC, whole seconds."""
    return moment.astimezone(UTC).replace(microsecond=0).isoformat().replace("+00:00", "Z") if moment else None


def _readable(moment: str | None) -> str | None:
    return moment and f"{datetime.fromisoformat(moment):%Y-%m-%d %H:%M:%S} UTC"
