"""
The scheduler's door for these tests: it serves many stacks, and it is impatient.

What production gives seconds, a statement, a lock, gets tenths of one here, so that what hangs is found while a test
can wait for it. The code that gives up is production's.
"""

from __future__ import annotations

from typing import Any

from reminders.scheduling import service
from reminders.scheduling.service import ReminderSchedulerService
from tests.acceptance import door

GRACE_SECONDS = 0.3
LONGEST_SECONDS = 0.6
LOCK_SECONDS = 0.5

service.STATEMENT_GRACE_SECONDS, service.LONGEST_STATEMENT_SECONDS = GRACE_SECONDS, LONGEST_SECONDS
patient_limits = ReminderSchedulerService._limits


def limits(self: ReminderSchedulerService, deadline: float, size: int) -> dict[str, str]:
    return patient_limits(self, deadline, size) | {"lock_timeout": str(int(LOCK_SECONDS * 1000))}


ReminderSchedulerService._limits = limits  # type: ignore[method-assign]


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """The scheduler's handler with the environment of the stack that is called."""
    return door.handler(event, context)
