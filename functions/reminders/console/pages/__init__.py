"""
View models: the content of each page, as text that is ready to be shown. Templates only have loops and conditions.

Text of users and other systems (names, reasons, error messages) passes `printable_line`; templates escape it for HTML.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from reminders.text import printable

LONGEST_PERSON = 60  #: characters, at which the view reminder_admin.people cuts a name


@dataclass(frozen=True, slots=True)
class Link:
    """`current`: it is the link to the present page."""

    text: str
    href: str
    current: bool = False


@dataclass(frozen=True, slots=True)
class Person:
    """`name` as the charity knows them, or their role with the first digits of their id."""

    name: str
    id: str


@dataclass(frozen=True, slots=True)
class Form:
    """The values that were typed, and the errors, by field."""

    values: Mapping[str, str] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)


def printable_line(text: str | None) -> str:
    """Text of others on one line, without control characters."""
    return printable(text or "").strip()


def short_id(id_: UUID | int) -> str:
    """The first eight digits of a uuid, which are enough to tell two apart and can be read out; a number as it is."""
    return str(id_)[:8] if isinstance(id_, UUID) else str(id_)


def person_name(name_or_id: str | None, role: str = "person") -> str:
    """A person by name; where there is only an id, by their role and its first digits."""
    try:
        return f"{role} {short_id(UUID(name_or_id or ''))}"
    except ValueError:
        return _name(name_or_id)


def person(role: str, id_: UUID, name: str | None) -> Person:
    return Person(_name(name) or f"{role} {short_id(id_)}", str(id_))


def _name(text: str | None) -> str:
    """As it can be shown. One that has the length at which `reminder_admin.people` cuts names shows that it was cut."""
    return f"{printable_line(text)}…" if len(text or "") == LONGEST_PERSON else printable_line(text)
