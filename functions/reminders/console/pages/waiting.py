"""Needs contact: the assignments past a threshold, longest first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode
from uuid import UUID

from reminders.console import export
from reminders.console.formats import Formats, Moment
from reminders.console.pages import Link, Person, person, printable_line, short_id
from reminders.console.pages.messages import MessageLine, message_lines
from reminders.console.reading import Organisation, Position, Waiting, WaitingCounts, WaitingFilter

PATH = "/console/needs-contact"
BAR = 120
# If there are more organisations, they are listed on a page of their own.
MOST_LINKS = 12


@dataclass(frozen=True, slots=True)
class Row:
    """
    One assignment of the list.

    `bar` is the length of the gap, `mark` the place of the reminder's threshold, both from 0 to 120. The escalation's
    threshold is always at 60.
    """

    href: str
    label: str
    mentor: Person
    coordinator: Person | None
    gap: str
    since: str
    is_alerted: bool
    bar: int
    mark: int
    bar_text: str
    mentor_notified: Moment | None
    mentor_read: bool
    mentor_messages: list[MessageLine]
    coordinator_notified: Moment | None
    coordinator_messages: list[MessageLine]
    organisation: str


@dataclass(frozen=True, slots=True)
class WaitingPage:
    title: str
    answer: str
    thresholds: list[Link]
    organisations: list[Link]
    rows: list[Row]
    next_page: str | None
    first_page: str | None
    csv: list[Link]
    csv_text: str
    empty: str
    has_messages: bool


def waiting(
    counts: WaitingCounts,
    rows: Sequence[Waiting],
    which: WaitingFilter,
    organisations: Sequence[Organisation],
    *,
    after: Position | None,
    more: bool,
    csv_ends: Sequence[Position],
    formats: Formats,
) -> WaitingPage:
    """`csv_ends`: where the full parts of the CSV end; `more`: whether there is a next page."""
    total = _total(counts, which)
    names = organisation_names(organisations)
    csv = _csv(which, csv_ends, total)
    return WaitingPage(
        title="Needs contact",
        answer=_answer(counts, which, formats),
        thresholds=_thresholds(counts, which, formats),
        organisations=_organisations(organisations, names, which),
        rows=[_row(row, names, formats) for row in rows],
        next_page=_href(which, after=str(Position(rows[-1].since, rows[-1].id))) if more and rows else None,
        first_page=_href(which) if after else None,
        csv=csv if total else [],
        csv_text=_csv_text(csv, total, formats),
        empty=_empty(counts, which, after, formats),
        has_messages=counts.messages_in_use,
    )


def organisation_names(organisations: Sequence[Organisation]) -> dict[UUID, str]:
    """The name of each organisation, or the first digits of its id."""
    return {each.org_id: printable_line(each.name) or f"Organisation {short_id(each.org_id)}" for each in organisations}


def _total(counts: WaitingCounts, which: WaitingFilter) -> int:
    return {
        "reminder": counts.past_reminder,
        "escalation": counts.past_escalation,
        "no_coordinator": counts.without_coordinator,
    }[which.threshold]


def _answer(counts: WaitingCounts, which: WaitingFilter, formats: Formats) -> str:
    total = formats.number(_total(counts, which))
    every = formats.counted(counts.open_assignments, "open assignment")
    endings = {
        "reminder": f"{total} of {every} had no contact for so long that the mentor is reminded.",
        "escalation": f"{total} of {every} had no contact for so long that the coordinator is alerted.",
        "no_coordinator": f"{total} of {every} have reached the time for an alert, but have no coordinator.",
    }
    return endings[which.threshold]


def _href(which: WaitingFilter, path: str = PATH, **more: str) -> str:
    query: dict[str, str] = {}
    if which.threshold != "reminder":
        query["threshold"] = which.threshold
    if which.org_id:
        query["org"] = str(which.org_id)
    query |= more
    return f"{path}?{urlencode(query)}" if query else path


def _thresholds(counts: WaitingCounts, which: WaitingFilter, formats: Formats) -> list[Link]:
    texts = {
        "reminder": f"Mentor is reminded ({formats.number(counts.past_reminder)})",
        "escalation": f"Coordinator is alerted ({formats.number(counts.past_escalation)})",
        "no_coordinator": f"No coordinator ({formats.number(counts.without_coordinator)})",
    }
    return [
        Link(text, _href(WaitingFilter(which.org_id, name)), name == which.threshold) for name, text in texts.items()
    ]


def _organisations(
    organisations: Sequence[Organisation], names: Mapping[UUID, str], which: WaitingFilter
) -> list[Link]:
    """Empty if there is one organisation; if there are many, a link to the page that lists them."""
    if len(organisations) < 2:
        return []
    every = Link("All organisations", _href(WaitingFilter(None, which.threshold)), which.org_id is None)
    if len(organisations) > MOST_LINKS:
        chosen = [Link(names[which.org_id], _href(which), True)] if which.org_id else []
        return [every, *chosen, Link("Choose an organisation", "/console/settings")]
    return [every] + [
        Link(names[each.org_id], _href(WaitingFilter(each.org_id, which.threshold)), which.org_id == each.org_id)
        for each in organisations
    ]


def _row(row: Waiting, names: Mapping[UUID, str], formats: Formats) -> Row:
    # The bar's length is twice the second threshold; a longer gap fills the bar.
    full = row.escalation_days * 2
    bar = min(row.gap_days * BAR // full, BAR)
    since = "none since it began on" if row.last_contact_date is None else "the last one was on"
    days = formats.counted(row.gap_days, "day")
    return Row(
        href=f"/console/assignments/{row.id}",
        label=short_id(row.id),
        mentor=person("Mentor", row.mentor_id, row.mentor_name),
        coordinator=person("Coordinator", row.coordinator_id, row.coordinator_name) if row.coordinator_id else None,
        gap=days,
        since=f"{since} {formats.day(row.since)}",
        is_alerted=row.gap_days >= row.escalation_days,
        bar=bar,
        mark=row.reminder_days * BAR // full,
        bar_text=f"reminder after {row.reminder_days}, alert after {formats.counted(row.escalation_days, 'day')}",
        mentor_notified=formats.moment_if(row.mentor_notified_at),
        mentor_read=row.mentor_read_at is not None,
        mentor_messages=message_lines(row.mentor_messages, formats),
        coordinator_notified=formats.moment_if(row.coordinator_notified_at),
        coordinator_messages=message_lines(row.coordinator_messages, formats),
        organisation=names.get(row.org_id, "") if len(names) > 1 else "",
    )


def _csv(which: WaitingFilter, ends: Sequence[Position], total: int) -> list[Link]:
    """One link for each part, from the end of the part before to its own end."""
    path = f"{PATH}.csv"
    starts: list[Position | None] = [None, *ends]
    links: list[Link] = []
    for number, start in enumerate(starts):
        until = ends[number] if number < len(ends) else None
        bounds = {name: str(each) for name, each in (("after", start), ("until", until)) if each}
        links.append(Link(f"Part {number + 1} of {len(starts)}", _href(which, path, **bounds)))
    return links if len(links) > 1 else [Link("Download as CSV", links[0].href)]


def _csv_text(csv: list[Link], total: int, formats: Formats) -> str:
    if len(csv) < 2:
        return "For a spreadsheet. It has a row for each assignment of this list."
    return (
        f"The list has {formats.number(total)} rows. One file holds at most {formats.number(export.PART_ROWS)} (an "
        f"answer of this server must stay below 6 MB), so there are {len(csv)} files. No assignment is in two of them."
    )


def _empty(counts: WaitingCounts, which: WaitingFilter, after: Position | None, formats: Formats) -> str:
    if after:
        return "There is nothing after this place in the list: contact was logged meanwhile."
    if not counts.open_assignments:
        return "There are no open assignments in your organisations. As soon as there are, they are checked every day."
    if which.threshold == "no_coordinator":
        return "Each assignment for which an alert is due has a coordinator."
    if which.threshold == "escalation":
        return "For no open assignment is it time to alert the coordinator."
    return "No contact is overdue: each open assignment had contact lately."
