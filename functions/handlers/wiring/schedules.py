"""The state of our schedule in EventBridge Scheduler, for the watchdog."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from reminders.aws_errors import error_code
from reminders.runs.watchdog import ScheduleState
from reminders.telemetry import logger

if TYPE_CHECKING:
    from mypy_boto3_scheduler import EventBridgeSchedulerClient


def state(name: str | None) -> ScheduleState | None:
    """
    The state of the schedule `name` ("group/name" or "name"), or None when it cannot be read.

    None counts as enabled: a false alarm is preferred to a missed one.
    """
    if name is None:
        return None
    group, _, own = name.rpartition("/")
    try:
        found = _client().get_schedule(Name=own, GroupName=group or "default")
        return ScheduleState(found["State"] == "ENABLED", found["LastModificationDate"])
    except Exception as error:
        logger.error("the schedule could not be read; it is assumed to be enabled", extra={"reason": error_code(error)})
        return None


@cache
def _client() -> EventBridgeSchedulerClient:
    import boto3
    from botocore.config import Config

    config = Config(connect_timeout=2, read_timeout=3, retries={"total_max_attempts": 2})
    client: EventBridgeSchedulerClient = boto3.client("scheduler", config=config)
    return client
