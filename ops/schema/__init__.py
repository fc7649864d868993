"""
The schema as data: who may do what (matrix.toml), and the shape of what the migrations create (shapes.json).

A package of its own, because it belongs to the migrations: their tests try each line of it, and `reminders doctor`
compares a database with it.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

# Of an object: `{role: {verb: True, or the columns in order}}`, without what is denied.
Rights = dict[str, dict[str, Any]]

# A role with no membership and no grant of its own has the rights of PUBLIC.
EVERY_ROLE = "PUBLIC"
# Each role, and the function that logs in as it. Those of the messages log in only where messages are sent.
FUNCTION_OF = {"cron_runner": "cron", "reminder_scheduler": "scheduler", "contact_admin_api": "admin"}
MESSAGE_ROLES = {"reminder_courier": "courier", "message_feedback": "feedback"}
FUNCTION_OF |= MESSAGE_ROLES
OUR_ROLES = tuple(FUNCTION_OF)
ROLES = ("anon", "authenticated", "service_role", *OUR_ROLES, EVERY_ROLE)
KINDS = {"r": "tables", "p": "tables", "v": "views", "m": "views", "S": "sequences", "f": "functions"}

MATRIX: dict[str, Any] = tomllib.loads(Path(__file__).with_name("matrix.toml").read_text())


def expected() -> dict[str, Rights]:
    """`{"tables.assignments": rights}` and so on, each "*" spelled as True."""
    return {
        f"{kind}.{name}": {role: _verbs(verbs) for role, verbs in rights.items()}
        for kind in dict.fromkeys(KINDS.values())
        for name, rights in MATRIX.get(kind, {}).items()
    }


def _verbs(verbs: dict[str, Any]) -> dict[str, Any]:
    return {verb: True if columns == "*" else columns for verb, columns in verbs.items()}
