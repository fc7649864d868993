"""What all parts of a simulation share, and how they compare."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from tests.simulation.agenda import Agenda
from tests.simulation.model import Charity
from tests.simulation.world import World, address, phone

# Far enough ahead that the machine's own clock is behind it (see clock.py), and a leap year.
START = datetime(2040, 1, 1, tzinfo=UTC)


class Violation(AssertionError):
    """Something happened that must not, or did not happen that must."""


def check(condition: object, what: str, *details: object) -> None:
    """Raise `Violation` unless `condition` holds."""
    if not condition:
        raise Violation(": ".join([what, *(str(detail) for detail in details)]))


def check_equal(what: str, expected: object, actual: object) -> None:
    """Raise `Violation` unless both are equal."""
    if expected != actual:
        raise Violation(f"{what}: expected {shortened(expected)}, found {shortened(actual)}")


def shortened(value: object) -> str:
    """As a message shows it."""
    text = repr(value)
    return text if len(text) < 400 else f"{text[:400]} …"


@dataclass(slots=True)
class Periods:
    """Times between two moments, both included."""

    all: list[tuple[datetime, datetime]] = field(default_factory=list)

    def add(self, begin: datetime, end: datetime) -> None:
        self.all.append((begin, end))

    def overlap(self, begin: datetime, end: datetime) -> bool:
        return any(first <= end and begin <= last for first, last in self.all)


@dataclass(slots=True)
class Situation:
    """The product and its model, and what both depend on."""

    world: World
    model: Charity
    agenda: Agenda = field(default_factory=Agenda)
    counted: Counter[str] = field(default_factory=Counter)  #: what happened, for the totals
    refused: set[int] = field(default_factory=set)  #: persons whose address and phone the providers refuse
    troubles: Periods = field(default_factory=Periods)  #: in which a message may be late
    hour_changes: Periods = field(default_factory=Periods)  #: in which a person's hours change
    up_since: dict[str, datetime] = field(default_factory=dict)  #: when an outage ended

    @property
    def now(self) -> datetime:
        """The simulated time at which the present event began."""
        return self.world.clock.moment

    @property
    def today(self) -> date:
        return self.now.date()

    def is_down(self, *what: str) -> bool:
        """Whether one of these is down."""
        return any(self.world.is_down(name) for name in what)

    def channels_to(self, person: int) -> set[str]:
        """By which this person can get messages."""
        found = {"email": address(person), "push": phone(person)}
        return set() if person in self.refused else {channel for channel, to in found.items() if to}

    def count(self, statement: str, *values: object) -> int:
        """The number that a query answers."""
        return int(self.world.value(statement, *values))

    def rows_of_runs(self, names: list[str]) -> list[dict[str, Any]]:
        """The ledger's rows of these events."""
        return self.world.all(
            "SELECT * FROM cron_execution_logs WHERE event_id = ANY(%s) ORDER BY started_at, id", names
        )
