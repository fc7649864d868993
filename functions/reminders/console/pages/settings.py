"""Settings of an organisation, a list to choose one from, and who changed what."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from reminders.console.changes import Settings
from reminders.console.formats import Formats, Moment
from reminders.console.pages import Form, Link, person_name, printable_line
from reminders.console.pages.waiting import organisation_names
from reminders.console.reading import Change, Organisation
from reminders.text import is_printable

PATH = "/console/settings"
PAGE_ROWS = 50
LONGEST = 3_650
LONGEST_NAME = 80
# The languages of messages (reminders.messages.templates; a test compares them).
LANGUAGES = {"en": "English", "nb": "Norwegian (bokmål)"}
FIELDS = {
    "reminder_days": "Remind the mentor after",
    "escalation_days": "Alert the coordinator after",
    "display_name": "Name",
    "locale": "Language",
    "time_zone": "Time zone",
    "send_from": "Send from",
    "send_until": "Send until",
}


@dataclass(frozen=True, slots=True)
class OrganisationForm:
    """One organisation's settings. `seen` is what the admin saw, as JSON, to notice another admin's change."""

    action: str
    form: Form
    seen: str
    languages: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Choice:
    """One organisation of a list to choose from."""

    name: str
    summary: str
    settings: str
    waiting: str


@dataclass(frozen=True, slots=True)
class ChangeRow:
    at: Moment
    organisation: str
    what: list[str]
    who: str


@dataclass(frozen=True, slots=True)
class SettingsPage:
    title: str
    answer: str
    organisation: OrganisationForm | None
    choices: list[Choice]
    next_page: str | None
    back: Link | None
    changes: list[ChangeRow]
    conflict: list[str]
    saved: bool
    errors: Mapping[str, str]
    empty: bool


@dataclass(frozen=True, slots=True)
class Posted:
    """A form that was not accepted. `seen`: what the admin saw; `is_conflict`: another admin has changed it."""

    values: Mapping[str, str]
    seen: Mapping[str, str]
    errors: Mapping[str, str] = field(default_factory=dict)
    is_conflict: bool = False


def settings(
    organisations: Sequence[Organisation],
    changes: Sequence[Change],
    formats: Formats,
    chosen: UUID | None,
    *,
    posted: Posted | None = None,
    saved: bool = False,
    after: UUID | None = None,
) -> SettingsPage:
    """The form of the organisation `chosen`, or of the only one; else the list of all, from the one `after`."""
    names = organisation_names(organisations)
    known = [each for each in organisations if chosen is None or each.org_id == chosen]
    found = known[0] if len(known) == 1 else None
    choices, next_page = ([], None) if found else _choices(organisations, names, after)
    shown_changes = [each for each in changes if found is None or each.org_id == found.org_id]
    return SettingsPage(
        title=names[found.org_id] if found and len(organisations) > 1 else "Settings",
        answer=(
            "When are people reminded, and how does your organisation write to them?"
            if found
            else f"{formats.counted(len(organisations), 'organisation')}: choose one."
        ),
        organisation=_form(found, posted) if found else None,
        choices=choices,
        next_page=next_page,
        back=Link("All organisations", PATH) if found and len(organisations) > 1 else None,
        changes=[_change(change, names if found is None else {}, formats) for change in shown_changes],
        conflict=_conflict(found, posted) if found and posted and posted.is_conflict else [],
        saved=saved,
        errors=posted.errors if posted else {},
        empty=not organisations,
    )


def _choices(
    organisations: Sequence[Organisation], names: Mapping[UUID, str], after: UUID | None
) -> tuple[list[Choice], str | None]:
    ids = [each.org_id for each in organisations]
    start = ids.index(after) + 1 if after in ids else 0
    page = organisations[start : start + PAGE_ROWS]
    choices = [
        Choice(
            names[each.org_id],
            f"reminder after {each.reminder_days}, alert after {each.escalation_days} days",
            f"{PATH}/{each.org_id}",
            f"/console/needs-contact?org={each.org_id}",
        )
        for each in page
    ]
    more = start + PAGE_ROWS < len(organisations)
    return choices, f"{PATH}?after={page[-1].org_id}" if more else None


def present(found: Organisation) -> dict[str, str]:
    """The settings as the fields of a form."""
    return {
        "reminder_days": str(found.reminder_days),
        "escalation_days": str(found.escalation_days),
        "display_name": found.name or "",
        "locale": found.locale,
        "time_zone": found.time_zone,
        "send_from": found.send_from,
        "send_until": found.send_until,
    }


def _form(found: Organisation, posted: Posted | None) -> OrganisationForm:
    now = present(found)
    values = {key: printable_line(value) for key, value in now.items()}
    if posted:
        # A field that the admin did not change shows the present value, so that saving again does not undo a change of
        # another admin.
        values |= {key: posted.values[key] for key in FIELDS if posted.values[key] != posted.seen[key]}
    languages = (
        LANGUAGES if found.locale in LANGUAGES else {values["locale"]: printable_line(found.locale), **LANGUAGES}
    )
    errors = posted.errors if posted else {}
    # As printable ASCII, so that a name has no control characters in the page; `read_seen` decodes it.
    seen = json.dumps(now).replace("\x7f", "\\u007f")
    return OrganisationForm(f"{PATH}/{found.org_id}", Form(values, errors), seen, languages)


def read_seen(text: str) -> dict[str, str]:
    """The values that the admin saw; empty if they cannot be read, so that each value counts as changed."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    known = found if isinstance(found, dict) else {}
    return {name: str(known.get(name) or "").encode(errors="replace").decode().replace("\0", "") for name in FIELDS}


def _conflict(found: Organisation, posted: Posted) -> list[str]:
    """The values that differ from what the admin saw."""
    return _differences(posted.seen, present(found))


def _change(change: Change, names: Mapping[UUID, str], formats: Formats) -> ChangeRow:
    organisation = names.get(change.org_id, "") if change.org_id else ""
    return ChangeRow(
        formats.moment(change.at),
        organisation,
        _differences(change.old_value, change.new_value),
        person_name(change.person),
    )


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """One line for each field that differs: the old and the new value."""
    return [
        f"{label}: {_in_words(name, old.get(name))} → {_in_words(name, new.get(name))}"
        for name, label in FIELDS.items()
        if (old.get(name) or "") != (new.get(name) or "")
    ]


def _in_words(name: str, value: object) -> str:
    text = printable_line(str(value or ""))
    if name == "locale":
        return LANGUAGES.get(text, text)
    if name.endswith("_days"):
        return f"{text} day{'' if text == '1' else 's'}"
    return text or "none"


def read(values: Mapping[str, str]) -> Settings | dict[str, str]:
    """The settings in a form, or its errors by field."""
    errors: dict[str, str] = {}
    reminder, escalation = _whole(values["reminder_days"]), _whole(values["escalation_days"])
    number = f"Enter a whole number of days from 1 to {LONGEST:,}."
    if reminder is None:
        errors["reminder_days"] = number
    if escalation is None:
        errors["escalation_days"] = number
    elif reminder is not None and escalation <= reminder:
        errors["escalation_days"] = f"The alert must come after the reminder: enter {reminder + 1} or more."
    if len(values["display_name"]) > LONGEST_NAME or not is_printable(values["display_name"]):
        errors["display_name"] = f"Enter a name of at most {LONGEST_NAME} characters, on one line."
    if not re.fullmatch(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})?", values["locale"], re.ASCII):
        errors["locale"] = "Choose a language."
    if not re.fullmatch(r"[A-Za-z0-9_+/-]{1,64}", values["time_zone"], re.ASCII):
        errors["time_zone"] = "Enter a time zone such as Europe/Oslo."
    for name in ("send_from", "send_until"):
        if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", values[name], re.ASCII):
            errors[name] = "Enter a time such as 08:00."
    if "send_until" not in errors and values["send_from"] == values["send_until"]:
        errors["send_until"] = "Sending must end at another time than it begins."
    if errors or reminder is None or escalation is None:
        return errors
    rest = ("display_name", "locale", "time_zone", "send_from", "send_until")
    return Settings(reminder, escalation, *(values[name] for name in rest))


def unknown_zone(text: str, suggestions: Sequence[str]) -> str:
    """The error beside the field."""
    if suggestions:
        return f"There is no time zone “{printable_line(text)}”. Did you mean {' or '.join(suggestions)}?"
    return f"There is no time zone “{printable_line(text)}”. Enter a continent and a city, such as Europe/Oslo."


def _whole(text: str) -> int | None:
    usable = text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= LONGEST
    return int(text) if usable else None
