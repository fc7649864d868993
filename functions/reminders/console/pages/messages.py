"""Messages in words, and the people who were not reached by any."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from reminders.console.formats import Formats, Moment
from reminders.console.pages import Person, person, short_id
from reminders.console.reading import Position, Unreached

PATH = "/console/needs-contact/not-reached"
_CHANNELS = {"email": "E-mail", "push": "Push message"}
_STATES = {
    "pending": "waits to be sent",
    "sending": "is being sent",
    "sent": "sent",
    "delivered": "delivered",
    "cancelled": "not needed any more",
    "expired": "could not be sent in time",
    "failed": "could not be delivered",
}
# Reported by a provider later (reminders.messages.feedback).
_FAILED = {"bounce": "came back: the address does not take mail"}
_REASONS = {
    "failed": "The last message could not be delivered, or not in time. There may be a mistake in the address.",
    "refused": "The address does not take mail any more: a mail came back, or was marked as unwanted.",
    "turned_off": "E-mail or push is turned off, and there is no other way.",
    "unused": "There is an e-mail address or a device, but messages of that kind are not sent from here.",
    "no_address": "There is no e-mail address, and no device with the app.",
    "too_old": "No message was made in the two days after the reminder. An older reminder gets none.",
}


@dataclass(frozen=True, slots=True)
class MessageLine:
    """The result of one message; `at` is when it was or will be sent."""

    text: str
    at: Moment
    has_failed: bool


def message_lines(messages: Sequence[Mapping[str, Any]] | None, formats: Formats) -> list[MessageLine]:
    """One line for each message about a notification."""
    return [_line(each, formats) for each in messages or ()]


def _line(message: Mapping[str, Any], formats: Formats) -> MessageLine:
    status = message["status"]
    state = _FAILED.get(message["error"] or "", _STATES["failed"]) if status == "failed" else _STATES[status]
    at = formats.moment(datetime.fromisoformat(message["at"]))
    return MessageLine(f"{_CHANNELS[message['channel']]} {state}", at, status in {"failed", "expired"})


@dataclass(frozen=True, slots=True)
class Row:
    """A person who was not reached, and `why`; `href` leads to the assignment that waits longest."""

    who: Person
    role: str
    why: str
    waits: str
    assignment: str
    href: str
    organisation: str


@dataclass(frozen=True, slots=True)
class UnreachedPage:
    title: str
    answer: str
    rows: list[Row]
    next_page: str | None
    first_page: str | None
    empty: str


def unreached(
    total: int | None,
    people: Sequence[Unreached],
    names: Mapping[UUID, str],
    *,
    after: Position | None,
    more: bool,
    formats: Formats,
) -> UnreachedPage:
    """`total`: None where no messages are sent; `names`: of the organisations; `more`: whether there is a next page."""
    return UnreachedPage(
        title="Not reached",
        answer=_answer(total, formats),
        rows=[_row(each, names, formats) for each in people],
        next_page=f"{PATH}?{urlencode({'after': str(Position(people[-1].since, people[-1].id))})}" if more else None,
        first_page=PATH if after else None,
        empty=_empty(total),
    )


def _answer(total: int | None, formats: Formats) -> str:
    if not total:
        return "Who could not be reached?"
    people = formats.counted(total, "person", "people")
    return (
        f"{people} could not be reached by e-mail or push, and should know that a person waits. Call or write to them."
    )


def _empty(total: int | None) -> str:
    if total is None:
        return "No e-mail or push messages are sent from here. People see their reminders in the app."
    return "No one is missing: each reminder was sent, or is on its way."


def _row(found: Unreached, names: Mapping[UUID, str], formats: Formats) -> Row:
    days = formats.counted((found.today - found.since).days, "day")
    several = formats.counted(found.assignments, "assignment")
    return Row(
        who=person(found.role.capitalize(), found.id, found.name),
        role=found.role.capitalize(),
        why=_REASONS[found.reason],
        waits=f"{several} without contact, the longest for {days}"
        if found.assignments > 1
        else f"{days} without contact",
        assignment=f"Assignment {short_id(found.assignment_id)}",
        href=f"/console/assignments/{found.assignment_id}",
        organisation=names.get(found.org_id, "") if len(names) > 1 else "",
    )
