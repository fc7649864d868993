"""What operators do, and what is down for hours."""

from __future__ import annotations

from datetime import datetime

from tests.simulation.model import HOUR, MINUTE
from tests.simulation.situation import Situation

# The longest pause between two attempts to deliver an alert or a message.
LONGEST_PAUSE = HOUR + MINUTE


class Operators:
    """One method for each event."""

    def __init__(self, situation: Situation) -> None:
        self._situation, self._world = situation, situation.world
        self._down_until: dict[str, datetime] = {}

    def on_pause(self) -> None:
        self._world.outside.schedule = (False, self._situation.now)

    def on_resume(self) -> None:
        enabled, _ = self._world.outside.schedule
        if not enabled:
            self._world.outside.schedule = (True, self._situation.now)

    def on_lock_is_held(self, minutes: int) -> None:
        if not self._world.lock_is_taken:
            self._world.take_lock()
            self._situation.agenda.plan(self._situation.now + minutes * MINUTE, "unlock")

    def on_unlock(self) -> None:
        self._world.unlock()

    def on_restart_database(self, orderly: bool) -> None:
        self._world.restart_database(orderly=orderly)
        self._situation.counted["restarts"] += 1

    def on_outage(self, what: str, minutes: int) -> None:
        now = self._situation.now
        until = now + minutes * MINUTE
        self._down_until[what] = max(until, self._down_until.get(what, until))
        self._world.set_down(what, down=True)
        if what not in ("slack", "sns", "scheduler"):
            self._situation.troubles.add(now, until + LONGEST_PAUSE)
        self._situation.agenda.plan(until, "repair", what=what)

    def on_repair(self, what: str) -> None:
        if self._down_until[what] <= self._situation.now:
            self._world.set_down(what, down=False)
            self._situation.up_since[what] = self._situation.now
