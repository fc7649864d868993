"""A value for each parameter of the named queries."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from tests.factories import TICK, TODAY

VALUES: dict[str, Any] = {
    "abandoned": False,
    "after": TICK,
    "alert_id": UUID(int=1),
    "as_of": TODAY,
    "assignments_evaluated": 1,
    "assignments_failed": 1,
    "assignments_without_recipient": 1,
    "since": None,
    "assignment_id": UUID(int=1),
    "at_most": 10,
    "before": UUID(int=1),
    "channel": "sns",
    "channels": ["sns"],
    "days": 400,
    "dedupe_key": "failure:1",
    "error": "it broke",
    "error_message": "it broke",
    "event_id": "e-1",
    "first": UUID(int=0),
    "http_status": 503,
    "job_name": "assignment-reminder-cron",
    "key": 1,
    "kind": "failure",
    "last": UUID(int=1),
    "lease_ms": "1000",
    "limit": 10,
    "new_date": TODAY,
    "note": "a note",
    "old_date": TODAY,
    "org_ids": [UUID(int=1)],
    "pause": timedelta(minutes=1),
    "payload": Jsonb({}),
    "plan_limit": 10,
    "reason": "a slip of the pen",
    "reminders_dispatched": 1,
    "run_id": UUID(int=1),
    "scheduled_for": TICK,
    "size": 10,
    "status": "failed",
    "tick": TICK,
    "trigger_source": "schedule",
    "after_id": UUID(int=1),
    "after_since": TODAY,
    "escalation_days": 20,
    "expected_escalation_days": 20,
    "expected_reminder_days": 10,
    "org_id": UUID(int=1),
    "reminder_days": 10,
    "threshold": "reminder",
    "until_id": UUID(int=1),
    "until_since": TODAY,
}
