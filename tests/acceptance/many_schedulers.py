"""
The scheduler's endpoint for many stacks: the first part of the path says which stack is called.

    /reminders/1a2b3c4d/runs   is   /runs   with the secrets that begin with reminders/1a2b3c4d/

One process serves a whole session, because a start takes a second.
"""

from __future__ import annotations

import os
from typing import Any

from handlers import scheduler
from reminders.limits import LIMITS, Limits


def handler(event: dict[str, Any], context: Any, limits: Limits = LIMITS) -> dict[str, Any]:
    """The scheduler's handler with the environment of the stack that is called."""
    _, folder, stack, path = event["rawPath"].split("/", 3)
    os.environ["DATABASE_SECRET"] = f"{folder}/{stack}/scheduler-database"
    os.environ["SCHEDULER_TOKEN_SECRET"] = f"{folder}/{stack}/scheduler-token"
    event["rawPath"] = event["requestContext"]["http"]["path"] = f"/{path}"
    answer: dict[str, Any] = scheduler.handler(event, context, limits)
    return answer
