"""Settings: after how many days, by organisation, and who changed that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from reminders.console.formats import Formats, Moment
from reminders.console.pages import shown
from reminders.console.pages.assignment import Form
from reminders.console.pages.waiting import organisation_names
from reminders.console.reading import Change, Organisation

PATH = "/console/settings"


@dataclass(frozen=True, slots=True)
class OrganisationForm:
    """One organisation's thresholds. `seen_...` are what the admin saw, to notice another admin's change."""

    name: str
    id: str
    action: str
    form: Form
    seen_reminder: str
    seen_escalation: str
    is_open: bool


@dataclass(frozen=True, slots=True)
class ChangeRow:
    at: Moment
    what: str
    who: str


@dataclass(frozen=True, slots=True)
class SettingsPage:
    title: str
    answer: str
    organisations: list[OrganisationForm]
    changes: list[ChangeRow]
    conflict: str
    saved: str
    errors: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Posted:
    """A form that was sent and not accepted."""

    org_id: UUID
    form: Form
    conflict: str = ""


def settings(
    organisations: Sequence[Organisation],
    changes: Sequence[Change],
    formats: Formats,
    *,
    posted: Posted | None = None,
    saved: UUID | None = None,
) -> SettingsPage:
    """`posted`: what was sent and refused; `saved`: the organisation whose change has just been made."""
    names = organisation_names(organisations)
    return SettingsPage(
        title="Settings",
        answer="After how many days without contact is a mentor reminded, and a coordinator alerted?",
        organisations=[_form(each, names[each.org_id], posted, len(organisations) == 1) for each in organisations],
        changes=[_change(change, names, formats) for change in changes],
        conflict=posted.conflict if posted else "",
        saved=f"Saved for {names[saved]}. It holds from the next run on." if saved in names else "",
        errors=posted.form.errors if posted else {},
    )


def _form(found: Organisation, name: str, posted: Posted | None, alone: bool) -> OrganisationForm:
    reminder, escalation = str(found.reminder_days), str(found.escalation_days)
    mine = posted if posted and posted.org_id == found.org_id else None
    values = {"reminder_days": reminder, "escalation_days": escalation}
    return OrganisationForm(
        name=name,
        id=str(found.org_id),
        action=f"{PATH}/{found.org_id}",
        form=mine.form if mine else Form(values),
        seen_reminder=reminder,
        seen_escalation=escalation,
        is_open=alone or mine is not None,
    )


def _change(change: Change, names: Mapping[UUID, str], formats: Formats) -> ChangeRow:
    organisation = names.get(change.org_id, "") if change.org_id else "all organisations"
    return ChangeRow(
        formats.moment(change.at),
        f"{organisation}: {_days(change.old_value)} → {_days(change.new_value)}",
        shown(change.person),
    )


def _days(value: Mapping[str, Any]) -> str:
    return f"reminder after {value.get('reminder_days', '?')}, alert after {value.get('escalation_days', '?')} days"


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What a form says, read; `errors` by field, empty where it can be used."""

    reminder_days: int = 0
    escalation_days: int = 0
    errors: Mapping[str, str] = field(default_factory=dict)


LONGEST = 3_650


def thresholds(values: Mapping[str, str]) -> Thresholds:
    """Read the two numbers of a form."""
    errors: dict[str, str] = {}
    reminder = _whole(values.get("reminder_days", ""))
    escalation = _whole(values.get("escalation_days", ""))
    if reminder is None:
        errors["reminder_days"] = f"Enter a whole number of days from 1 to {LONGEST:,}."
    if escalation is None:
        errors["escalation_days"] = f"Enter a whole number of days from 1 to {LONGEST:,}."
    elif reminder is not None and escalation <= reminder:
        errors["escalation_days"] = f"The alert must come after the reminder: enter {reminder + 1} or more."
    return Thresholds(reminder or 0, escalation or 0, errors)


def _whole(text: str) -> int | None:
    text = text.strip()
    usable = text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= LONGEST
    return int(text) if usable else None
