"""The events that the cron function is invoked with: the samples of infra/events, and EventBridge Scheduler's."""

from __future__ import annotations

import json
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

from ops.cli.local import events as sample_events
from tests.factories import TICK, TODAY

DAY = TODAY
FIRST_DAY = TICK - timedelta(days=2)
EVENTS = Path(__file__).resolve().parent.parent.parent / "infra" / "events"
# What the sample events leave open, and is no secret. The rest stays as it stands.
MOMENTS = sample_events.moments(datetime.combine(DAY, time(6), UTC))


def recorded(name: str) -> Any:
    """An event of infra/events, of `DAY` at 06:00."""
    return json.loads(sample_events.fill((EVENTS / f"{name}.json").read_text(), MOMENTS))


def scheduled_event(day: int) -> dict[str, str]:
    """EventBridge Scheduler's event for that day (0, 1, 2 ...)."""
    return {"scheduled_time": (FIRST_DAY + timedelta(day)).isoformat(), "execution_id": f"day-{day}"}


# What template.yaml lets EventBridge Scheduler send.
SCHEDULED = {
    "scheduled_time": f"{TODAY}T06:00:00Z",
    "execution_id": "d32c5kddcf5bb8c3",
    "attempt_number": "1",
    "schedule_arn": "arn:aws:scheduler:eu-west-2:123456789012:schedule/reminders/assignment-reminder-cron",
}
