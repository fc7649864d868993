"""
Parse the event of the cron function.

    EventBridge Scheduler, context attributes in its input   {"scheduled_time": "...", "execution_id": "...", ...}
    EventBridge Scheduler without input, or an EventBridge rule   {"source": "aws.scheduler" | "aws.events", ...}
    a person at the console                                  {} or {"action": "run", "dry_run": true, "as_of": "..."}
    a person testing the alerts                              {"action": "test_alert"}

Anything else is refused: a misspelt "dry_run" must not become a real run.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Literal

from reminders.errors import EventError
from reminders.text import printable

ACCEPTED = (
    'accepted are EventBridge Scheduler events, EventBridge rule events, {}, {"action": "run"} with '
    '"dry_run" and "as_of" if wanted, and {"action": "test_alert"}'
)
# "Amazon EventBridge Scheduler: Adding context attributes". Compared without case and punctuation, because the
# attribute is <aws.scheduler.scheduled-time> and people spell its key in many ways.
SCHEDULER_ATTRIBUTES = {"scheduledtime", "executionid", "attemptnumber", "schedulearn"}
EVENT_SOURCES = {"aws.events", "aws.scheduler"}


@dataclass(frozen=True, slots=True)
class RunRequest:
    """
    A requested run.

    `scheduled_for` is the scheduled time (aware, UTC). None for a manual run, which is for the present time or, if
    `as_of` is given, for that day.
    """

    trigger: Literal["schedule", "manual"]
    event_id: str | None = None
    scheduled_for: datetime | None = None
    as_of: date | None = None
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class TestAlertRequest:
    """A requested test alert."""

    __test__ = False  # pytest: not a test class


def parse_event(event: object) -> RunRequest | TestAlertRequest:
    """Read a Lambda event; raise `EventError` for an unknown one; the message says what is accepted."""
    if not isinstance(event, Mapping):
        raise EventError(f"the event is not a JSON object; {ACCEPTED}")
    source = event.get("source")
    if isinstance(source, str) and source in EVENT_SOURCES:
        return _from_eventbridge(event)
    attributes = {_plain(key): value for key, value in event.items() if _plain(key) in SCHEDULER_ATTRIBUTES}
    rest = {key: value for key, value in event.items() if _plain(key) not in SCHEDULER_ATTRIBUTES}
    action = rest.pop("action", "run")
    if action == "test_alert" and not rest and not attributes:
        return TestAlertRequest()
    if action != "run":
        raise EventError(f"unknown action {_quoted(action)}; {ACCEPTED}")
    if attributes:
        return _from_scheduler(attributes, rest)
    return _from_person(rest)


def _from_eventbridge(event: Mapping[str, Any]) -> RunRequest:
    """ "Scheduled Event", as a rule sends it, and Scheduler when its target has no input of its own."""
    return RunRequest("schedule", _text(event.get("id")), _parse_time("time", event.get("time")))


def _from_scheduler(attributes: Mapping[str, Any], rest: Mapping[str, Any]) -> RunRequest:
    if rest:
        raise EventError(f"unknown key {_quoted(next(iter(rest)))} in a schedule's input; {ACCEPTED}")
    tick = _parse_time("scheduled_time", attributes.get("scheduledtime"))
    return RunRequest("schedule", _text(attributes.get("executionid")), tick)


def _from_person(event: Mapping[str, Any]) -> RunRequest:
    for key in event:
        if key not in {"dry_run", "as_of"}:
            raise EventError(f"unknown key {_quoted(key)}; {ACCEPTED}")
    dry_run = event.get("dry_run", False)
    if not isinstance(dry_run, bool):
        raise EventError(f"dry_run must be true or false, got {_quoted(dry_run)}")
    return RunRequest("manual", as_of=_day(event.get("as_of")), dry_run=dry_run)


def _plain(key: object) -> str:
    return re.sub(r"[^a-z]", "", str(key).lower())


def _text(value: object) -> str | None:
    return printable(str(value))[:200] if value else None


def _parse_time(name: str, value: object) -> datetime:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        moment = None
    if moment is None:
        raise EventError(f"{name} must be an ISO 8601 time, got {_quoted(value)}")
    # EventBridge sends UTC, so a time without a zone is read as UTC.
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _day(value: object) -> date | None:
    if value is None:
        return None
    try:
        # The pattern, because fromisoformat also takes 20261121 and 2026-W47-6.
        if isinstance(value, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", value, re.ASCII):
            return date.fromisoformat(value)
    except ValueError:
        pass
    raise EventError(f"as_of must be a date as in 2026-11-21, got {_quoted(value)}")


def _quoted(value: object) -> str:
    return repr(value)[:60]
