"""The watchdog function and the schedule: what EventBridge Scheduler, played by moto, says about it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from handlers.wiring import schedules
from ops.local.aws import ACCOUNT, REGION
from ops.local.stack import LocalStack
from tests.alerting import captured_log
from tests.helpers.stacks import reported


@pytest.fixture
def tick(stack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> datetime:
    """20 minutes ago, by the watchdog's settings; no row records it."""
    tick = (datetime.now(UTC) - timedelta(minutes=20)).replace(second=0, microsecond=0)
    monkeypatch.setenv("REMINDER_CRON_EXPRESSION", f"cron({tick.minute} {tick.hour} * * ? *)")
    return tick


@pytest.fixture
def scheduler(stack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """EventBridge Scheduler with our schedule in a group of its own, made long before the tick."""
    client = stack.aws.client("scheduler")
    client.create_schedule_group(Name="charity")
    client.create_schedule(**SCHEDULE)
    made(ago=timedelta(days=30))
    monkeypatch.setenv("REMINDER_SCHEDULE_NAME", "charity/reminders")
    schedules._client.cache_clear()
    yield client
    client.delete_schedule(Name="reminders", GroupName="charity")
    client.delete_schedule_group(Name="charity")


SCHEDULE: dict[str, Any] = {
    "Name": "reminders",
    "GroupName": "charity",
    "ScheduleExpression": "cron(0 6 * * ? *)",
    "FlexibleTimeWindow": {"Mode": "OFF"},
    "Target": {"Arn": "arn:aws:lambda:eu-west-2:123456789012:function:cron", "RoleArn": "arn:aws:iam::1:role/x"},
}


def made(ago: timedelta) -> None:
    """moto stamps the moment of the call; here the schedule is as old as the test says."""
    from moto.scheduler.models import scheduler_backends

    schedule = scheduler_backends[ACCOUNT][REGION].schedule_groups["charity"].schedules["reminders"]
    schedule.last_modified_date = (datetime.now(UTC) - ago).timestamp()


@pytest.mark.usefixtures("scheduler")
def test_schedule_that_is_enabled(stack: LocalStack, tick: datetime) -> None:
    """The scheduled time is missed, and reported once on each channel."""
    moment = f"{tick:%Y-%m-%dT%H:%M:%SZ}"
    assert [moment, None] == [stack.watch()["missed_tick"] for _ in range(2)]
    assert (1, 1) == reported(stack)
    assert "assignment-reminder-cron: a scheduled run did not do its work" == stack.slack.posted[0]["text"]
    assert f"Scheduled time: {tick:%Y-%m-%d %H:%M:%S} UTC" in stack.slack.posted[0]["blocks"][1]["text"]["text"]


@pytest.mark.usefixtures("tick")
def test_schedule_that_is_paused(stack: LocalStack, scheduler: Any) -> None:
    """It is paused on purpose and does not fire; and after it was resumed, the ticks before are not missed."""
    scheduler.update_schedule(**SCHEDULE, State="DISABLED")
    made(ago=timedelta(days=30))
    assert stack.watch()["missed_tick"] is None
    scheduler.update_schedule(**SCHEDULE, State="ENABLED")
    assert stack.watch()["missed_tick"] is None
    assert (0, 0) == reported(stack)


@pytest.mark.usefixtures("tick", "scheduler")
@pytest.mark.parametrize("name", ["charity/another", "reminders"])
def test_schedule_that_cannot_be_found(stack: LocalStack, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """It is assumed to be enabled, and the log says why. No group means "default"."""
    monkeypatch.setenv("REMINDER_SCHEDULE_NAME", name)
    with captured_log() as log:
        assert stack.watch()["missed_tick"] is not None
    assert "the schedule could not be read; it is assumed to be enabled" in log.getvalue()
    assert "ResourceNotFoundException" in log.getvalue()


@pytest.mark.usefixtures("tick")
def test_schedule_without_a_name(stack: LocalStack) -> None:
    """EventBridge is not asked, and the schedule is assumed to be enabled."""
    assert stack.watch()["missed_tick"] is not None


def test_expression_that_is_malformed(stack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """The function stops at once, naming the variable."""
    monkeypatch.setenv("REMINDER_CRON_EXPRESSION", "cron(0 6 * * * *)")
    with pytest.raises(Exception, match=r"^REMINDER_CRON_EXPRESSION "):
        stack.watch()


def test_answer(stack: LocalStack) -> None:
    """What one round found, in JSON's own types."""
    quiet = {"overruns": 0, "rescued": 0, "missed_tick": None, "messages_waiting": 0, "pruned": 0, "messages_pruned": 0}
    assert quiet == stack.watch()
