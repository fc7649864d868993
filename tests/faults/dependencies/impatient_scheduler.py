"""
The scheduler's endpoint for these tests: it serves many stacks, and its time limits are short.

Statement and lock time-outs are 1 s or less, so that a test need not wait long. The code that gives up is production's.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

from reminders.limits import LIMITS, TransactionLimits
from tests.acceptance import many_schedulers

BATCH_SIZE = 8
LOCK_SECONDS = 1.0
SHORT = replace(LIMITS, statement_grace=0.5, batch=TransactionLimits(statement=1.0, lock=LOCK_SECONDS, idle=10.0))


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """The scheduler's handler with the environment of the stack that is called."""
    os.environ["BATCH_SIZE"] = str(BATCH_SIZE)
    return many_schedulers.handler(event, context, SHORT)
