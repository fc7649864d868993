"""One assignment: its state, the form for its contact date, its timeline."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from reminders.console.formats import Formats, Moment
from reminders.console.pages import Form, Person, person, person_name, printable_line, short_id
from reminders.console.pages.messages import message_lines
from reminders.console.reading import TIMELINE_ROWS, Assignment, Event


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the timeline."""

    at: Moment
    what: str
    detail: list[str]
    kind: str


@dataclass(frozen=True, slots=True)
class AssignmentPage:
    title: str
    answer: str
    level: str
    mentor: Person
    coordinator: Person | None
    began: str
    last_contact: str
    thresholds: str
    action: str
    version: str
    earliest: str
    latest: str
    is_open: bool
    form: Form
    conflict: str
    timeline: list[Entry]
    timeline_note: str
    id: str


def assignment(
    found: Assignment, events: Sequence[Event], formats: Formats, form: Form | None = None, conflict: str = ""
) -> AssignmentPage:
    """`conflict`: what another admin has changed since the form was opened."""
    last = formats.day(found.last_contact_date) if found.last_contact_date else "never"
    return AssignmentPage(
        title=f"Assignment {short_id(found.id)}",
        answer=_answer(found, formats),
        level=_level(found),
        mentor=person("Mentor", found.mentor_id, found.mentor_name),
        coordinator=(
            person("Coordinator", found.coordinator_id, found.coordinator_name) if found.coordinator_id else None
        ),
        began=formats.day(found.began),
        last_contact=last,
        thresholds=(
            f"The mentor is reminded after {formats.counted(found.reminder_days, 'day')}, "
            f"the coordinator is alerted after {formats.counted(found.escalation_days, 'day')}."
        ),
        action=f"/console/assignments/{found.id}/contact-date",
        version=found.version,
        earliest=found.began.isoformat(),
        latest=found.today.isoformat(),
        is_open=found.is_open,
        form=form or Form({"date": found.last_contact_date.isoformat() if found.last_contact_date else ""}),
        conflict=conflict,
        timeline=[_entry(event, formats) for event in events[:TIMELINE_ROWS]],
        timeline_note=(
            f"The newest {formats.number(TIMELINE_ROWS)} entries are shown." if len(events) > TIMELINE_ROWS else ""
        ),
        id=str(found.id),
    )


def _level(found: Assignment) -> str:
    if not found.is_open or found.gap_days is None or found.gap_days < found.reminder_days:
        return "good"
    return "attention" if found.gap_days < found.escalation_days else "problem"


def _answer(found: Assignment, formats: Formats) -> str:
    if not found.is_open:
        return "This assignment is closed. It gets no reminders."
    if found.gap_days is None:
        return "The date of the last contact is not a valid date. Correct it below."
    days = formats.counted(found.gap_days, "day")
    return (
        f"No contact for {days}." if found.gap_days >= found.reminder_days else f"Last contact {days} ago. All is well."
    )


def _entry(event: Event, formats: Formats) -> Entry:
    who = person_name(event.person, _ROLES.get(event.kind, "person"))
    what, detail = _WORDS.get(event.kind, _other)(event.detail, who, formats)
    return Entry(formats.moment(event.at), what, [each for each in detail if each], event.kind)


_Words = tuple[str, list[str]]


def _assigned(detail: dict[str, Any], who: str, formats: Formats) -> _Words:
    return "Assigned", [f"to {who}"]


def _contact(detail: dict[str, Any], who: str, formats: Formats) -> _Words:
    counts = "" if detail["counts"] else "This type does not count as contact."
    kind = printable_line(detail["type"]).replace("_", " ")
    return f"{kind.capitalize()} on {_day(detail['date'], formats)}", [f"logged by {who}" if who else "", counts]


def _notified(what: str, role: str) -> Callable[[dict[str, Any], str, Formats], _Words]:
    def words(detail: dict[str, Any], who: str, formats: Formats) -> _Words:
        gap = f"after {formats.counted(detail['gap_days'], 'day')} without contact"
        state = "resolved" if detail["resolved_at"] else "open"
        read = "read" if detail["read_at"] else "not read yet"
        sent = [f"{line.text}, {line.at.local}" for line in message_lines(detail["messages"], formats)]
        return f"{what} {who}, the {role}", [f"{gap}, in the app", f"{state}, {read}", *sent]

    return words


def _correction(detail: dict[str, Any], who: str, formats: Formats) -> _Words:
    old = _day(detail["old"], formats) if detail["old"] else "never"
    what = f"Date of the last contact corrected: {old} → {_day(detail['new'], formats)}"
    return what, [f"by {who}", f"“{printable_line(detail['reason'])}”"]


def _coordinator(detail: dict[str, Any], who: str, formats: Formats) -> _Words:
    return "Coordinator changed", [f"by {who}", f"“{printable_line(detail['reason'])}”"]


def _status(detail: dict[str, Any], who: str, formats: Formats) -> _Words:
    return f"Status changed to {printable_line(str(detail['new'].get('status', '')))}", [
        f"by {who}",
        f"“{printable_line(detail['reason'])}”",
    ]


def _other(detail: dict[str, Any], who: str, formats: Formats) -> _Words:
    return "Changed", [f"by {who}"]


def _day(text: str, formats: Formats) -> str:
    """A date of JSON as text; PostgreSQL's 'infinity' is not changed."""
    try:
        return formats.day(date.fromisoformat(text))
    except ValueError:
        return printable_line(text)


# In these events `person` is the recipient or the new mentor. In all others, `person` made the change.
_ROLES = {"assigned": "Mentor", "reminder": "Mentor", "escalation": "Coordinator"}
_WORDS: dict[str, Callable[[dict[str, Any], str, Formats], _Words]] = {
    "assigned": _assigned,
    "contact": _contact,
    "reminder": _notified("Reminded", "mentor"),
    "escalation": _notified("Alerted", "coordinator"),
    "correction": _correction,
    "coordinator": _coordinator,
    "status": _status,
}
