"""
The daily schedule in EventBridge Scheduler: read it, pause and resume it, compute its next and last scheduled time.

UpdateSchedule replaces the whole schedule, so everything that GetSchedule returns is sent back with it. The reason
for a pause is a tag of the schedule's group, because a schedule has no tags and its description is the
template's.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from ops.cli.targets.base import Target
from reminders.errors import SettingsError
from reminders.runs.ticks import parse_schedule

READ_ONLY = {"Arn", "CreationDate", "LastModificationDate", "ResponseMetadata"}
REASON_TAG = "reminders-paused-because"


@dataclass(frozen=True, slots=True)
class Schedule:
    """The daily schedule. `since` is when it was last changed (aware)."""

    name: str
    enabled: bool
    expression: str
    timezone: str
    since: datetime
    reason: str | None = None
    event_age_seconds: int | None = None
    retries: int | None = None


def read(target: Target) -> Schedule:
    """Ask EventBridge; boto3's errors are the caller's."""
    found = _get(target)
    retry = found["Target"].get("RetryPolicy", {})
    schedule = Schedule(
        name=target.schedule_name,
        enabled=found["State"] == "ENABLED",
        expression=found["ScheduleExpression"],
        timezone=found.get("ScheduleExpressionTimezone", "UTC"),
        since=found["LastModificationDate"].astimezone(UTC),
        event_age_seconds=retry.get("MaximumEventAgeInSeconds"),
        retries=retry.get("MaximumRetryAttempts"),
    )
    return schedule if schedule.enabled else replace(schedule, reason=_reason(target))


def set_state(target: Target, *, enabled: bool, reason: str | None) -> bool:
    """Enable or disable it, and change nothing else; return whether it changed."""
    found = _get(target)
    state = "ENABLED" if enabled else "DISABLED"
    if found["State"] != state:
        whole = {key: value for key, value in found.items() if key not in READ_ONLY}
        target.client("scheduler").update_schedule(**{**whole, "State": state})
    _tag(target, reason)
    return bool(found["State"] != state)


def next_tick(schedule: Schedule, now: datetime, last: datetime | None) -> datetime | None:
    """When it fires next, or None while it is paused or when that is not known."""
    with suppress(SettingsError):
        return parse_schedule(schedule.expression).next(now, last or schedule.since) if schedule.enabled else None
    return None


def last_tick(schedule: Schedule, until: datetime, known: datetime | None) -> datetime | None:
    """The newest tick up to `until` that the schedule, as it is now, should have fired."""
    with suppress(SettingsError):
        tick = parse_schedule(schedule.expression).last(until, known or schedule.since)
        return tick if schedule.enabled and tick and tick >= schedule.since else None
    return None


def _names(target: Target) -> dict[str, str]:
    group, _, name = target.schedule_name.rpartition("/")
    return {"Name": name, "GroupName": group or "default"}


def _get(target: Target) -> Any:
    return target.client("scheduler").get_schedule(**_names(target))


def _group_arn(target: Target) -> str:
    found = target.client("scheduler").get_schedule_group(Name=_names(target)["GroupName"])
    return str(found["Arn"])


def _reason(target: Target) -> str | None:
    """The reason, or None; a missing permission must not hide that the schedule is paused."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        tags = target.client("scheduler").list_tags_for_resource(ResourceArn=_group_arn(target)).get("Tags", [])
    except (BotoCoreError, ClientError):
        return None
    return next((tag["Value"] for tag in tags if tag["Key"] == REASON_TAG), None)


def _tag(target: Target, reason: str | None) -> None:
    from botocore.exceptions import BotoCoreError, ClientError

    # The characters that AWS allows in a tag's value.
    value = re.sub(r"[^\w .:/=+\-@]", "", reason or "", flags=re.ASCII).strip()[:256]
    client = target.client("scheduler")
    try:
        if value:
            client.tag_resource(ResourceArn=_group_arn(target), Tags=[{"Key": REASON_TAG, "Value": value}])
        else:
            client.untag_resource(ResourceArn=_group_arn(target), TagKeys=[REASON_TAG])
    except (BotoCoreError, ClientError):
        return  # the schedule's state has been changed; the reason is only shown
