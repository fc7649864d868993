"""
The days around a fault, and what must be true when they are over.

    days.expect_failure(SchedulerError, "answered 500")     an invocation that raises
    days.expect_success()                                   one that succeeds
    days.check_final_state()                                more of them until all is quiet; then everything is compared

What must be there is computed again, in Python, from the assignments and from how each invocation ended. Nothing of
the product's SQL is asked, and its policy is not imported.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import takewhile
from typing import Any, Literal
from uuid import UUID

import pytest

from ops.local.stack import LocalStack
from reminders.database import Connection
from reminders.runs.lock import LOCK_KEY
from tests.factories import TICK, add_assignment, add_org, runs
from tests.helpers.locks import HELD
from tests.helpers.waiting import eventually

FIRST_DAY = TICK - timedelta(days=2)
TODAY = FIRST_DAY.date()
DEFAULT_THRESHOLDS = (10, 20)
# In `populate`: 7 reminders, and 4 escalations: gaps 20 and 45, 6 of the quick organisation, never contacted.
DUE = 11
# lost: the row was left 'running', so that the next run settles it; unrecorded: there is no row, and Slack gets an
# alert at once; unreported: nor was that possible.
Status = Literal["success", "failed", "skipped", "lost", "unrecorded", "unreported"]
NO_ROW = ("unrecorded", "unreported")
Reminder = tuple[UUID, str, UUID, date]


@dataclass(slots=True)
class Invocation:
    """How one ended, with its tick (None: by hand) and the count that its row must have."""

    tick: datetime | None
    status: Status
    failures: int = 0


@dataclass(slots=True)
class Prediction:
    """The ledger's rows, and what is reported, after invocations that alert at the first failure."""

    rows: list[Invocation] = field(default_factory=list)
    alerts: list[str] = field(default_factory=list)
    reported: list[str] = field(default_factory=list)

    def add(self, day: Invocation) -> None:
        reported_before = len(self.reported)
        self._rescue(but=day)
        if day.status not in NO_ROW:
            self.rows.append(day)
        if day.status in ("unrecorded", "lost"):
            self.reported.append("does not record")
        elif day.status == "failed":
            self._fail(day)
        elif day.status == "success":
            # A failure that was found in this very invocation is reported with its recovery, in one message.
            del self.reported[reported_before:]
            self._succeed(day)

    def _rescue(self, but: Invocation) -> None:
        """A run that could not start settles no earlier run."""
        for row in self.rows:
            if row.status == "lost" and but.status not in NO_ROW:
                self._fail(row)

    def _fail(self, row: Invocation) -> None:
        settled = [other for other in self.rows if other is not row and other.status in ("success", "failed")]
        streak = list(takewhile(lambda other: other.status == "failed", reversed(settled)))
        is_retry = row.tick is not None and row.tick in [other.tick for other in streak]
        row.status, row.failures = "failed", len({other.tick for other in streak}) + (not is_retry)
        if row.failures == 1 and not is_retry:
            self._alert("failure", "has failed")

    def _succeed(self, row: Invocation) -> None:
        settled = [other for other in self.rows if other is not row and other.status in ("success", "failed")]
        if settled and settled[-1].status == "failed":
            failures = settled[-1].failures
            runs_ = "1 failed run" if failures == 1 else f"{failures} failed runs"
            self._alert("recovery", f"has recovered after {runs_}")

    def _alert(self, kind: str, headline: str) -> None:
        self.alerts.append(kind)
        self.reported.append(headline)


def predict(invocations: Sequence[Invocation]) -> Prediction:
    prediction = Prediction()
    for day in invocations:
        prediction.add(Invocation(day.tick, day.status))
    return prediction


def populate(owner: Connection, day: date = TODAY) -> list[UUID]:
    """A small charity: each reason to be due or not to be; gives those whom a reminder is due for, in order."""
    quick = add_org(owner, UUID(int=0xE), reminder_days=3, escalation_days=6)
    due = [add_assignment(owner, gap, today=day, assignment_id=UUID(int=gap << 120)) for gap in (10, 11, 20, 45)]
    due += [add_assignment(owner, gap, today=day, assignment_id=UUID(int=gap << 120), org_id=quick) for gap in (3, 6)]
    due.append(add_assignment(owner, None, today=day, assignment_id=UUID(int=0x80 << 120)))
    # Behind all the others, so that those who are due are in one batch.
    for gap in (0, 1, 7):
        add_assignment(owner, gap, today=day, assignment_id=UUID(int=(0x90 + gap) << 120))
    add_assignment(owner, 30, today=day, assignment_id=UUID(int=0xA0 << 120), status="closed")
    return sorted(due)


def due(owner: Connection, as_of: date) -> list[Reminder]:
    """Every reminder and escalation that must have been dispatched when `as_of` is over."""
    thresholds = {
        org: (r, e)
        for org, r, e in owner.execute("SELECT org_id, reminder_days, escalation_days FROM org_settings").fetchall()
    }
    found: list[Reminder] = []
    for assignment, org, mentor, coordinator, assigned_at, last_contact in owner.execute(
        """
        SELECT id, org_id, peer_mentor_id, coordinator_id, assigned_at, last_contact_date
        FROM assignments WHERE status = 'open'
        """
    ).fetchall():
        anchor = last_contact or assigned_at.astimezone(UTC).date()
        reminder_days, escalation_days = thresholds.get(org, DEFAULT_THRESHOLDS)
        gap = (as_of - anchor).days
        if gap >= reminder_days:
            found.append((assignment, "reminder", mentor, anchor))
        if gap >= escalation_days:
            found.append((assignment, "escalation", coordinator, anchor))
    return sorted(found)


def dispatched(owner: Connection) -> list[Reminder]:
    """A list and no set: a reminder that was dispatched twice stands in it twice."""
    rows = owner.execute("SELECT assignment_id, kind, recipient_id, contact_anchor FROM notifications").fetchall()
    return sorted((assignment, kind, recipient, anchor) for assignment, kind, recipient, anchor in rows)


def nothing_is_left_open(owner: Connection) -> None:
    """No run is running, the lock is free, and no connection of ours is open."""
    assert [] == [run for run in runs(owner) if run["status"] == "running"]
    assert (LOCK_KEY,) not in owner.execute(HELD).fetchall()
    ours = "SELECT FROM pg_stat_activity WHERE application_name LIKE 'reminders-%' AND datname = current_database()"
    assert eventually(lambda: [] == owner.execute(ours).fetchall())


class Days:
    """The cron function, invoked tick after tick in this process, as a warm one is."""

    def __init__(self, stack: LocalStack, owner: Connection) -> None:
        self.stack = stack
        self.owner = owner
        self.invocations: list[Invocation] = []
        self._next = FIRST_DAY

    def expect_failure(
        self, error: type[Exception], expected_message: str, status: Status = "failed", *, seconds: float = 60.0
    ) -> dict[str, Any] | None:
        """Invoke; expect `error` with `expected_message`. Return the run's row, if there is one."""
        with pytest.raises(error, match=expected_message):
            self.stack.invoke(self._event(), seconds=seconds)
        self._add(status)
        return None if status in NO_ROW else runs(self.owner)[-1]

    def expect_success(self, *, seconds: float = 60.0) -> dict[str, Any]:
        """Invoke; expect a success. Return its summary."""
        summary: dict[str, Any] = self.stack.invoke(self._event(), seconds=seconds)
        assert "success" == summary["status"]
        self._add("success")
        return summary

    def check_final_state(self, never: Collection[UUID] = ()) -> None:
        """
        The next tick succeeds, its second delivery is a duplicate, and a run by hand finds nothing left to do.

        Then every due reminder is there exactly once (none for the assignments in `never`), and ledger, outbox and
        Slack have what the model has.
        """
        self.expect_success()
        self._again()
        self._by_hand()
        wanted = [reminder for reminder in due(self.owner, self._today) if reminder[0] not in never]
        assert wanted == dispatched(self.owner)
        self.reports_as_predicted()
        nothing_is_left_open(self.owner)

    def reports_as_predicted(self) -> None:
        """Each row's status and count, each alert in the outbox, each message that reached Slack."""
        prediction = predict(self.invocations)
        rows = [(run["status"], run["consecutive_failure_count"]) for run in runs(self.owner)]
        assert [(row.status, row.failures) for row in prediction.rows] == rows
        kinds = self.owner.execute("SELECT kind FROM cron_alerts ORDER BY created_at, kind").fetchall()
        assert prediction.alerts == [kind for (kind,) in kinds]
        texts = [message["text"] for message in self.stack.slack.posted]
        assert len(prediction.reported) == len(texts), texts
        assert [] == [text for said, text in zip(prediction.reported, texts, strict=True) if not text.endswith(said)]

    @property
    def _today(self) -> date:
        return (self._next - timedelta(days=1)).date()

    def _event(self) -> dict[str, str]:
        return {"scheduled_time": self._next.isoformat(), "execution_id": f"{self._next:%j}"}

    def _add(self, status: Status) -> None:
        self.invocations.append(Invocation(self._next, status))
        self._next += timedelta(days=1)

    def _again(self) -> None:
        self._next -= timedelta(days=1)
        assert "duplicate_tick" == self.stack.invoke(self._event())["note"]
        self._add("skipped")

    def _by_hand(self) -> None:
        summary = self.stack.invoke({"action": "run", "as_of": self._today.isoformat()})
        assert ("success", 0) == (summary["status"], summary["reminders_dispatched"])
        self.invocations.append(Invocation(None, "success"))
