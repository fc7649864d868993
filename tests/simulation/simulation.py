"""
One story, day by day: each event happens in the world and in the model, and the two are compared.

    06:00 the schedule fires · 06:10 and, when a message is due by then, 13:30, 20:10 and 01:10 the courier
    06:40 and, when something is wrong, 14:10 the watchdog

There are fewer rounds than in production, because a year has enough of them; hours for messages are at least eight, so
each has a round. The watchdog's round comes within an hour after the courier's, so nothing is late by then.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from tests.simulation.alerts import Alerts
from tests.simulation.courier import Courier
from tests.simulation.daily import Daily
from tests.simulation.model import DAY, HOUR, MINUTE, Charity, Organisation
from tests.simulation.operators import Operators
from tests.simulation.people import People
from tests.simulation.runs import Runs
from tests.simulation.situation import START, Situation
from tests.simulation.story import ORGS, Event
from tests.simulation.watchdog import Watchdog
from tests.simulation.world import World

ROUNDS = (
    (HOUR + 10 * MINUTE, "courier_if_due"),
    (6 * HOUR, "fire"),
    (6 * HOUR + 10 * MINUTE, "courier"),
    (6 * HOUR + 40 * MINUTE, "watchdog"),
    (13 * HOUR + 30 * MINUTE, "courier_if_due"),
    (14 * HOUR + 10 * MINUTE, "watchdog_if_wrong"),
    (20 * HOUR + 10 * MINUTE, "courier_if_due"),
)
Progress = Callable[[int, Counter[str]], None]


class Simulation:
    """Runs `events` in `world` for `days` days; `progress` is called after each, with what happened so far."""

    def __init__(self, world: World, events: Iterable[Event], days: int, progress: Progress | None = None) -> None:
        self.day = 0
        self._world, self._days, self._progress = world, days, progress
        events = list(events)
        model = Charity(orgs={org: Organisation() for org in range(ORGS)})
        self._situation = situation = Situation(world, model)
        alerts = Alerts(situation)
        self._runs = Runs(situation, alerts, {event.day: event.args for event in events if event.what == "tick"})
        self._daily = Daily(situation)
        parts = (People(situation), Operators(situation), self._runs, Watchdog(situation, alerts))
        self._handlers = _handlers(*parts, Courier(situation, alerts))
        self._first_day = min((event.day for event in events), default=0)
        world.outside.schedule = (True, START + self._first_day * DAY)
        for event in events:
            if event.what != "tick":
                situation.agenda.plan(START + event.day * DAY + event.minute * MINUTE, event.what, **event.args)

    def run(self) -> None:
        """Raise `Violation`."""
        try:
            for day in range(self._first_day, self._days):
                self.day = day
                self._run_day()
                if self._progress:
                    self._progress(self.day, self._situation.counted)
        finally:
            self._runs.stop()

    def _run_day(self) -> None:
        today, agenda = START + self.day * DAY, self._situation.agenda
        for at, what in ROUNDS:
            agenda.plan(today + at, what)
        end = today + DAY - MINUTE
        while entry := agenda.next_before(end):
            self._world.clock.set(entry.moment)
            self._handlers[entry.what](**entry.args)
        self._world.clock.set(end)
        self._daily.compare()


def _handlers(*parts: object) -> dict[str, Callable[..., Any]]:
    """What is called for each kind of event: `on_open` for "open"."""
    names = [(part, name) for part in parts for name in dir(part) if name.startswith("on_")]
    return {name.removeprefix("on_"): getattr(part, name) for part, name in names}
