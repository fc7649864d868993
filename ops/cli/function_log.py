"""Reads a function's log: Powertools' JSON lines, and the runtime's line about an invocation that failed."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

LEVELS = {"WARNING", "ERROR", "CRITICAL"}


def log_lines(text: Iterable[str]) -> list[dict[str, Any]]:
    """The lines that are JSON and report a warning, an error or a failed invocation."""
    return [line for line in map(_parsed, text) if line.get("level") in LEVELS or "errorType" in line]


def time_of(line: dict[str, Any]) -> datetime | None:
    """Powertools writes ISO 8601 with a numeric zone; None where there is no time that can be read."""
    try:
        found = datetime.fromisoformat(str(line.get("timestamp")).replace(",", "."))
    except ValueError:
        return None
    return found if found.tzinfo else None


def ids_of(line: dict[str, Any]) -> list[str]:
    """The ids of assignments in the line."""
    many = line.get("assignment_ids", [])
    one = line.get("assignment_id")
    return [str(one)] if one else [str(each) for each in many] if isinstance(many, list) else []


def error_of(line: dict[str, Any]) -> str:
    """A failed invocation's error in words."""
    return f"{line.get('errorType', 'error')}: {line.get('errorMessage', 'no message')}"


def _parsed(line: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
