"""What `handlers.scheduler` works with."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

from handlers.wiring.common import connect
from reminders.limits import Limits
from reminders.scheduling.service import ReminderSchedulerService


@contextmanager
def scheduler_service(database_secret: str, batch_size: int, limits: Limits) -> Iterator[ReminderSchedulerService]:
    """The ReminderSchedulerService on a connection of its own."""
    with closing(connect(database_secret, "reminders-scheduler")) as connection:
        yield ReminderSchedulerService(connection, batch_size, time.monotonic, limits)
