"""
What happens in a charity's year: a list of events, made from a seed.

The daily round is not in it: every day the schedule fires at 06:00, the courier and the watchdog make their rounds. An
event is what people do, or what goes wrong. Every sub-list of a story is a story, so that it can be made shorter.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.faults.steps import STEPS, between
from tests.simulation.outside import EMAIL_ERRORS, PUSH_ERRORS

ORGS, ZONES = 4, ("UTC", "Europe/Oslo", "America/New_York", "Asia/Kolkata", "Pacific/Auckland", "America/St_Johns")
HOURS = (("08:00", "20:00"), ("09:00", "17:00"), ("22:00", "06:00"), ("12:00", "20:30"))
PATHS = ("direct", "bulk", "proxy", "coordinator_proxy")
# The last does not count as contact.
KINDS = ("meeting", "phone_call", "message", "note")
OUTAGES = (*EMAIL_ERRORS, *PUSH_ERRORS, "slack", "sns", "database", "scheduler", "courier")
# A paused process is resumed hours later; before it has its row, it would start a new run then.
PAUSED_AT = between("ledger: open_run", "ledger: settle_run")
CUT = ("lock", "ledger", "scheduler", "outbox", "%")
# What may happen to a scheduled time, and how often.
TICKS = {
    "late": 4,
    "twice": 4,
    "never": 3,
    "at once": 1,
    "killed": 4,
    "scheduler killed": 2,
    "paused": 0.7,
    "cut": 3,
    "restarted": 1,
    "answer lost": 2,
    "out of time": 3,
}
MORNING, TICK, EVENING = 5 * 60, 6 * 60, 22 * 60


@dataclass(frozen=True, slots=True)
class Event:
    """`what` happens on day `day` at `minute`; `args` say to whom and how."""

    day: int
    minute: int
    what: str
    args: dict[str, Any]

    def __str__(self) -> str:
        words = " ".join(f"{name}={value}" for name, value in self.args.items())
        return f"day {self.day:3} {self.minute // 60:02}:{self.minute % 60:02}  {self.what} {words}".rstrip()


def make_story(seed: int, days: int, pairs: int, trouble: float = 1.0) -> list[Event]:
    """All events of `days` days with about `pairs` open assignments, in order; with `trouble` times as many faults."""
    events = _Author(random.Random(seed), days, pairs, trouble).events()
    return sorted(events, key=lambda event: (event.day, event.minute))


class _Author:
    """Makes events up. It knows how many assignments and persons there are, and nothing of what became of them."""

    def __init__(self, chance: random.Random, days: int, pairs: int, trouble: float) -> None:
        self._chance, self._days, self._pairs, self._trouble = chance, days, pairs, trouble
        self._opened = 0

    def events(self) -> Iterator[Event]:
        for _ in range(self._pairs):
            yield self._open(0, began=self._chance.randint(0, 60))
        for org in range(ORGS):
            yield self._hours(0, org)
        for day in range(self._days):
            yield from self._people(day)
            yield from self._operators(day)
            yield from self._faults(day)

    def _people(self, day: int) -> Iterator[Event]:
        for _ in range(self._about(self._pairs / 60)):
            yield self._event(day, "contact", pair=self._pair(), **self._contact(), path=self._chance.choice(PATHS))
        for _ in range(self._about(1.5)):
            some = sorted({self._pair() for _ in range(self._about(self._pairs / 25))})
            yield self._event(day, "contacts", pairs=some, **self._contact())
        chances = {
            "forget_contact": 0.2,
            "correct": 0.8,
            "close": self._pairs / 600,
            "reopen": 0.15,
            "hand_over": 0.3,
            "read": 1.0,
            "thresholds": 0.05,
            "move": 0.1,
            "refuse": 0.03,
        }
        for what, chance in chances.items():
            if self._chance.random() < chance:
                yield self._event(day, what, **self._details(what))
        if self._chance.random() < 0.9:
            how = self._chance.choice(("contact", "hand_over", "close", "read"))
            args = {"nth": self._chance.randrange(100), "how": how, "to": self._person()}
            yield Event(day, self._chance.randint(TICK + 11, TICK + 440), "react", args)
        if self._chance.random() < chances["close"]:
            yield self._open(day, began=self._chance.choice((0, 0, 0, 3, 30)))
        if self._chance.random() < 0.04:
            yield self._hours(day, self._chance.randrange(ORGS))

    def _details(self, what: str) -> dict[str, Any]:
        chance = self._chance
        if what == "thresholds":
            reminder = chance.randint(3, 14)
            return {"org": chance.randrange(ORGS), "reminder": reminder, "escalation": reminder + chance.randint(1, 14)}
        if what == "move":
            return {"person": self._person(), "zone": chance.choice((None, *ZONES))}
        if what == "refuse":
            return {"person": self._person()}
        details: dict[str, Any] = {"pair": self._pair()}
        if what == "correct":
            details |= {"ago": chance.choice((-1, 0, 1, 5, 12, 25, 90)), "stale": chance.random() < 0.1}
        if what == "hand_over":
            details |= {"role": chance.choice(("mentor", "coordinator")), "to": self._person()}
        return details

    def _operators(self, day: int) -> Iterator[Event]:
        if self._chance.random() < 0.03 * self._trouble:
            yield self._event(day, "pause")
            yield Event(day + self._chance.randint(0, 3), EVENING + 30, "resume", {})
        if self._chance.random() < 0.03 * self._trouble:
            yield self._event(day, "run_by_hand")
        if self._chance.random() < 0.02 * self._trouble:
            yield Event(day, MORNING, "lock_is_held", {"minutes": self._chance.choice((20, 90, 600))})

    def _faults(self, day: int) -> Iterator[Event]:
        chance = self._chance
        if chance.random() < 0.25 * self._trouble:
            yield Event(day, TICK, "tick", self._tick())
        if chance.random() < 0.12 * self._trouble:
            minute = chance.choice((TICK - 1, chance.randint(0, EVENING)))
            minutes = chance.choice((2, 45, 180, 600, 1500))
            yield Event(day, minute, "outage", {"what": chance.choice(OUTAGES), "minutes": minutes})
        if chance.random() < 0.01 * self._trouble:
            yield self._event(day, "restart_database", orderly=chance.random() < 0.5)
        if chance.random() < 0.03 * self._trouble:
            yield Event(day, MORNING, "kill_courier", {"is_taken": chance.random() < 0.5})

    def _tick(self) -> dict[str, Any]:
        chance = self._chance
        how = chance.choices(list(TICKS), weights=list(TICKS.values()))[0]
        tick: dict[str, Any] = {"how": how, "retries": chance.choice((0, 2, 2))}
        if how in ("late", "twice"):
            tick["minutes"] = chance.choice((1, 20, 60, 500))
        if how in ("killed", "cut", "restarted", "answer lost"):
            tick["step"] = chance.choice(STEPS)
        if how in ("paused", "scheduler killed"):
            tick["step"] = chance.choice(PAUSED_AT)
        if how == "cut":
            tick["target"] = chance.choice(CUT)
        if how == "restarted":
            tick["orderly"] = chance.random() < 0.5
        return tick

    def _open(self, day: int, began: int) -> Event:
        self._opened += 1
        chance = self._chance
        people = {"mentor": self._person(), "coordinator": None if chance.random() < 0.05 else self._person()}
        last = chance.choice((None, chance.randint(0, began)))
        args = {"pair": self._opened, "org": chance.randrange(ORGS), **people, "began": began, "last": last}
        return Event(day, 30 if day == 0 else chance.randint(MORNING, EVENING), "open", args)

    def _hours(self, day: int, org: int) -> Event:
        begin, end = self._chance.choices(HOURS, weights=(5, 3, 1, 1))[0]
        args = {"org": org, "zone": self._chance.choice(ZONES), "begin": begin, "end": end}
        return Event(day, 20 if day == 0 else MORNING, "hours", args)

    def _contact(self) -> dict[str, Any]:
        ago = self._chance.choices((0, 1, 2, 9, 40, -1, -365), weights=(60, 20, 10, 5, 2, 1, 1))[0]
        return {"ago": ago, "kind": self._chance.choices(KINDS, weights=(4, 3, 2, 1))[0]}

    def _event(self, day: int, what: str, /, **args: Any) -> Event:
        return Event(day, self._chance.randint(MORNING - 200, EVENING), what, args)

    def _pair(self) -> int:
        return self._chance.randint(1, max(1, self._opened))

    def _person(self) -> int:
        return self._chance.randint(1, max(2, self._pairs // 3))

    def _about(self, mean: float) -> int:
        return max(0, round(self._chance.gauss(mean, mean**0.5)))
