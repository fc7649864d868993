"""The overview: whether the job works, who needs contact, the last 30 days."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from reminders.console.formats import Formats, Moment
from reminders.console.health import Verdict, verdict
from reminders.console.pages.messages import PATH as UNREACHED
from reminders.console.reading import Overview, RunDay
from reminders.console.strip import Strip, strip


@dataclass(frozen=True, slots=True)
class Card:
    """A number, with a link to its list."""

    number: str
    text: str
    href: str
    level: str


@dataclass(frozen=True, slots=True)
class OverviewPage:
    verdict: Verdict
    next_run: Moment | None
    cards: list[Card]
    open_assignments: str
    strip: Strip


def overview(
    seen: Overview, days: list[RunDay], last_due: datetime | None, next_due: datetime | None, formats: Formats
) -> OverviewPage:
    """`last_due` and `next_due`: the scheduled times before and after now; None if they are not known."""
    return OverviewPage(
        verdict(seen, last_due, formats),
        formats.moment_if(next_due),
        _cards(seen, formats),
        formats.counted(seen.open_assignments, "open assignment"),
        strip(days, seen.now.date(), formats),
    )


def _cards(seen: Overview, formats: Formats) -> list[Card]:
    one = seen.past_reminder == 1
    cards = [
        Card(
            formats.number(seen.past_reminder),
            "assignment needs contact" if one else "assignments need contact",
            "/console/needs-contact",
            "attention" if seen.past_reminder else "good",
        ),
        Card(
            formats.number(seen.past_escalation),
            "of them so long that the coordinator is alerted",
            "/console/needs-contact?threshold=escalation",
            "attention" if seen.past_escalation else "good",
        ),
    ]
    if seen.without_coordinator:
        cards.append(
            Card(
                formats.number(seen.without_coordinator),
                "of them without a coordinator to alert",
                "/console/needs-contact?threshold=no_coordinator",
                "problem",
            )
        )
    if seen.unreached is not None:
        cards.append(
            Card(
                formats.number(seen.unreached),
                "person could not be reached" if seen.unreached == 1 else "people could not be reached",
                UNREACHED,
                "problem" if seen.unreached else "good",
            )
        )
    return cards
