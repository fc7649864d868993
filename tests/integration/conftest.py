"""The packages on a real database: the service and the ledger, each as the role that it has in production."""

from __future__ import annotations

import time
from collections.abc import Callable
from uuid import UUID

import pytest

from reminders.database import Connection
from reminders.limits import LIMITS, Limits
from reminders.runs.ledger import Ledger
from reminders.scheduling.service import ReminderSchedulerService
from tests.factories import TODAY, add_run
from tests.helpers.connections import AsRole
from tests.helpers.services import MakeService, make_ledger


@pytest.fixture
def run_id(owner: Connection) -> UUID:
    """A run that is 'running'."""
    return add_run(owner, as_of=TODAY)


@pytest.fixture
def make_service(as_role: AsRole) -> MakeService:
    def make(
        batch_size: int = 100, clock: Callable[[], float] = time.monotonic, limits: Limits = LIMITS
    ) -> ReminderSchedulerService:
        return ReminderSchedulerService(as_role("reminder_scheduler"), batch_size, clock, limits)

    return make


@pytest.fixture
def ledger(as_role: AsRole) -> Ledger:
    return make_ledger(as_role("cron_runner"), lambda: as_role("cron_runner"))
