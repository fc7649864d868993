"""The watchdog's rounds: after the morning's run, and once more when something is wrong."""

from __future__ import annotations

from tests.simulation.alerts import Alerts
from tests.simulation.ledger import compare_ledger
from tests.simulation.model import DAY, HOUR, Alert
from tests.simulation.situation import Situation, check

# A message that was never tried and has another moment ahead waits for hours that have changed.
LATE = """
    SELECT count(*) FROM messages
    WHERE status IN ('pending', 'sending') AND send_after < now() - %s AND (attempts > 0 OR next_attempt_at <= now())
"""


class Watchdog:
    """Invokes the watchdog, and compares what it wrote."""

    def __init__(self, situation: Situation, alerts: Alerts) -> None:
        self._situation, self._world, self._model = situation, situation.world, situation.model
        self._alerts = alerts

    def on_watchdog(self) -> None:
        waiting = self._situation.count(LATE, HOUR)
        answer = self._world.watchdog()
        self._situation.counted["invocations"] += 1
        if self._world.is_down("database"):
            check(isinstance(answer, Exception), "the watchdog without a database", answer)
            self._alerts.expect_direct("watchdog")
            self._alerts.compare()
            return
        check(isinstance(answer, dict), "the watchdog failed", repr(answer))
        self._alerts.succeeded("watchdog")
        held, schedule = self._world.lock_is_taken, self._world.outside.schedule
        self._model.watch(self._situation.now, lock_is_held=held, schedule=schedule)
        self._expect_backlog(waiting)
        compare_ledger(self._situation)
        self._alerts.compare()
        self._alerts.check_delivery()

    def on_watchdog_if_wrong(self) -> None:
        now = self._situation.now
        waiting = not self._alerts.are_delivered or self._model.last("running") or self._world.lock_is_taken
        if waiting or self._world.outside.down or self._situation.troubles.overlap(now - 8 * HOUR, now):
            self.on_watchdog()

    def _expect_backlog(self, waiting: int) -> None:
        """One alert while messages are late, and one when none is any more."""
        now = self._situation.now
        kinds = [alert.kind for alert in self._model.alerts if alert.kind in ("message_backlog", "message_recovery")]
        is_reported = kinds[-1:] == ["message_backlog"]
        if waiting and not is_reported:
            is_troubled = self._situation.troubles.overlap(now - 2 * DAY, now)
            check(is_troubled, "messages wait, and nothing is down", waiting)
            self._model.alerts.append(Alert("message_backlog", None, now))
        elif is_reported and not waiting:
            self._model.alerts.append(Alert("message_recovery", None, now))
