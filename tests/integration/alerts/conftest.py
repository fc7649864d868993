"""The outbox on a real database, as the role that it has in production; the channels are fakes."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ops.local.server import Server
from reminders.alerts.outbox import Outbox
from reminders.alerts.policy import Policy
from reminders.database import Connection, connect
from reminders.limits import LIMITS, Limits
from reminders.runs import JOB_NAME
from reminders.runs.ledger import Ledger
from reminders.runs.ticks import parse_schedule
from reminders.runs.watchdog import ScheduleState, WatchdogDeps, WatchdogRules
from tests.alerting import FakeChannel
from tests.helpers.connections import AsRole
from tests.helpers.services import MakeLedger, MakeOutbox, MakeWatchdog

NEVER = "cron(0 6 * * ? 2199)"
MINUTE = timedelta(minutes=1)


@pytest.fixture
def runner(as_role: AsRole) -> Connection:
    return as_role("cron_runner")


@pytest.fixture
def slack() -> FakeChannel:
    return FakeChannel("slack")


@pytest.fixture
def sns() -> FakeChannel:
    return FakeChannel("sns")


@pytest.fixture
def make_outbox(server: Server, database: str) -> MakeOutbox:
    """An outbox whose deliverers connect by themselves."""
    dsn = server.dsn("cron_runner", database)

    def make(*channels: FakeChannel, threshold: int = 2, repeat_every: int = 0, limits: Limits = LIMITS) -> Outbox:
        return Outbox(
            JOB_NAME,
            Policy(threshold, repeat_every),
            channels,
            lambda: closing(connect(dsn, name="reminders-outbox")),
            limits=limits,
        )

    return make


@pytest.fixture
def outbox(make_outbox: MakeOutbox, slack: FakeChannel, sns: FakeChannel) -> Outbox:
    return make_outbox(slack, sns)


@pytest.fixture
def make_ledger(as_role: AsRole) -> MakeLedger:
    return lambda outbox, limits=LIMITS: Ledger(as_role("cron_runner"), lambda: as_role("cron_runner"), outbox, limits)


@pytest.fixture
def make_watchdog(as_role: AsRole, outbox: Outbox, make_ledger: MakeLedger) -> MakeWatchdog:
    """A watchdog with a schedule that has no tick yet, which is enabled, and with a minute of time."""

    def make(expression: str = NEVER, grace: timedelta = 15 * MINUTE, **others: Any) -> WatchdogDeps:
        rules = WatchdogRules(30 * MINUTE, grace, 365, 90, expression, parse_schedule(expression))
        deps: dict[str, Any] = {
            "connection": as_role("cron_runner"),
            "ledger": make_ledger(outbox),
            "outbox": outbox,
            "rules": rules,
            "schedule": lambda: ScheduleState(True, datetime.now(UTC) - timedelta(days=900)),
            "seconds_left": lambda: 60.0,
        }
        return WatchdogDeps(**{**deps, **others})

    return make
