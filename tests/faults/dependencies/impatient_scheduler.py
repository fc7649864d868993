"""
The scheduler's endpoint for these tests: it serves many stacks, and its time limits are short.

What production gives seconds, a statement, a lock, gets one or a part of one here, so that what hangs is found while a
test can wait for it. The code that gives up is production's.
"""

from __future__ import annotations

import os
from functools import cache
from typing import Any

from reminders.scheduling import service
from reminders.scheduling.service import ReminderSchedulerService
from tests.acceptance import many_schedulers

BATCH_SIZE = 8
GRACE_SECONDS = 0.5
LONGEST_SECONDS = 1.0
LOCK_SECONDS = 1.0


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """The scheduler's handler with the environment of the stack that is called."""
    shorten_limits()
    return many_schedulers.handler(event, context)


@cache
def shorten_limits() -> None:
    """In the endpoint's own process, and not where a test only reads the numbers above."""
    os.environ["BATCH_SIZE"] = str(BATCH_SIZE)
    service.STATEMENT_GRACE_SECONDS, service.LONGEST_STATEMENT_SECONDS = GRACE_SECONDS, LONGEST_SECONDS
    unchanged = ReminderSchedulerService._limits

    def limits(self: ReminderSchedulerService, deadline: float, size: int) -> dict[str, str]:
        return unchanged(self, deadline, size) | {"lock_timeout": str(int(LOCK_SECONDS * 1000))}

    ReminderSchedulerService._limits = limits  # type: ignore[method-assign]
