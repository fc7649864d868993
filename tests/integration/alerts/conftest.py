"""The outbox on a real database, as the role that it has in production; the channels are fakes."""

from __future__ import annotations

from contextlib import closing

import pytest

from ops.local.server import Server
from reminders.alerts.outbox import Outbox
from reminders.alerts.policy import Policy
from reminders.database import Connection, connect
from reminders.runs import JOB_NAME
from reminders.runs.ledger import Ledger
from tests.alerting import FakeChannel
from tests.helpers.connections import AsRole
from tests.helpers.services import MakeLedger, MakeOutbox


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

    def make(*channels: FakeChannel, threshold: int = 2, repeat_every: int = 0) -> Outbox:
        return Outbox(
            JOB_NAME,
            Policy(threshold, repeat_every),
            channels,
            lambda: closing(connect(dsn, name="reminders-outbox")),
        )

    return make


@pytest.fixture
def outbox(make_outbox: MakeOutbox, slack: FakeChannel, sns: FakeChannel) -> Outbox:
    return make_outbox(slack, sns)


@pytest.fixture
def make_ledger(as_role: AsRole) -> MakeLedger:
    return lambda outbox: Ledger(as_role("cron_runner"), lambda: as_role("cron_runner"), outbox)
