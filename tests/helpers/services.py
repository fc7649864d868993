"""The service, the ledger and the outbox on a test's database, and clocks for them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace

from reminders.alerts.outbox import Outbox
from reminders.alerts.policy import Policy
from reminders.database import Connection
from reminders.limits import LIMITS, Limits
from reminders.runs import JOB_NAME
from reminders.runs.ledger import Ledger
from reminders.runs.watchdog import WatchdogDeps
from reminders.scheduling.service import ReminderSchedulerService
from reminders.scheduling.work import DispatchRequest, DispatchResult

MakeService = Callable[..., ReminderSchedulerService]


def make_ledger(connection: Connection, reconnect: Callable[[], Connection], limits: Limits = LIMITS) -> Ledger:
    """A ledger whose alerts are not sent: its outbox has no channel."""
    return Ledger(connection, reconnect, Outbox(JOB_NAME, Policy(), [], lambda: nullcontext(connection)), limits)


MakeOutbox = Callable[..., Outbox]
MakeLedger = Callable[..., Ledger]
MakeWatchdog = Callable[..., WatchdogDeps]


class ClockWithAction:
    """A clock that always shows 0. Calls `act` at the n-th reading."""

    def __init__(self, n: int, act: Callable[[], object]) -> None:
        self._left, self._act = n, act

    def __call__(self) -> float:
        self._left -= 1
        if self._left == 0:
            self._act()
        return 0.0


class Ticking:
    """A clock that is one second later at each reading."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1
        return self.now


def calls_until_done(call: Callable[[DispatchRequest], DispatchResult], work: DispatchRequest) -> list[DispatchResult]:
    made = [call(work)]
    while (cursor := made[-1].next_cursor) is not None:
        made.append(call(replace(work, cursor=cursor)))
    return made
