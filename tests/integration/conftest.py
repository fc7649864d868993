"""The rooms on a real database: the service and the ledger, each as the role that it has in production."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from uuid import UUID

import pytest

from reminders.alerts.outbox import Outbox
from reminders.alerts.policy import Policy
from reminders.database import Connection
from reminders.runs import JOB_NAME
from reminders.runs.ledger import Ledger
from reminders.scheduling.service import ReminderSchedulerService
from tests.conftest import AsRole
from tests.factories import TODAY, add_run

MakeService = Callable[..., ReminderSchedulerService]


@pytest.fixture
def run_id(owner: Connection) -> UUID:
    """A run that is 'running'."""
    return add_run(owner, as_of=TODAY)


@pytest.fixture
def make_service(as_role: AsRole) -> MakeService:
    def make(batch_size: int = 100, clock: Callable[[], float] = time.monotonic) -> ReminderSchedulerService:
        return ReminderSchedulerService(as_role("reminder_scheduler"), batch_size, clock)

    return make


def make_ledger(connection: Connection, reconnect: Callable[[], Connection]) -> Ledger:
    """A ledger whose alerts nobody hears: its outbox has no channel."""
    return Ledger(connection, reconnect, Outbox(JOB_NAME, Policy(), [], lambda: nullcontext(connection)))


@pytest.fixture
def ledger(as_role: AsRole) -> Ledger:
    return make_ledger(as_role("cron_runner"), lambda: as_role("cron_runner"))
