"""
The scheduler's door for many stacks: the first part of the path says whose.

    /reminders/1a2b3c4d/runs   is   /runs   with the secrets that begin with reminders/1a2b3c4d/

One process serves a whole session, for a start takes a second.
"""

from __future__ import annotations

import os
from typing import Any

from handlers import scheduler


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """The scheduler's handler with the environment of the stack that is called."""
    _, room, stack, path = event["rawPath"].split("/", 3)
    os.environ["DATABASE_SECRET"] = f"{room}/{stack}/scheduler-database"
    os.environ["SCHEDULER_TOKEN_SECRET"] = f"{room}/{stack}/scheduler-token"
    event["rawPath"] = event["requestContext"]["http"]["path"] = f"/{path}"
    answer: dict[str, Any] = scheduler.handler(event, context)
    return answer
