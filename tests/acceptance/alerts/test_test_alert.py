"""{"action": "test_alert"}: a marked alert through every channel, and what became of it."""

from __future__ import annotations

from typing import Any

import pytest

from ops.local.slack import SlackResponse
from ops.local.stack import LocalStack
from reminders.database import Connection
from tests.factories import count
from tests.helpers.stacks import reported

MARKED = "[test] assignment-reminder-cron: this is a test alert, nothing is wrong"


def ask(stack: LocalStack) -> Any:
    return stack.invoke({"action": "test_alert"})


def test_channels_that_work(stack: LocalStack, owner: Connection) -> None:
    """Both get it, marked as a test; neither ledger nor outbox is touched."""
    answer = ask(stack)
    delivered = {"slack": "delivered", "sns": "delivered"}
    assert {"status": "success", "note": "test_alert", "channels": delivered} == answer
    assert MARKED == stack.slack.posted[0]["text"]
    assert MARKED == stack.aws.published(stack.topic_arn)[0].subject
    tables = ("cron_execution_logs", "cron_alerts", "cron_alert_deliveries", "notifications")
    assert [0, 0, 0, 0] == [count(owner, table) for table in tables]


def test_channel_that_does_not_work(stack: LocalStack, owner: Connection) -> None:
    """The answer says which, and why; the other one got the alert."""
    stack.slack.response = SlackResponse(403, b"action_prohibited")
    answer = ask(stack)
    assert "failed" == answer["status"]
    assert {
        "slack": "slack: posting is prohibited, by the workspace or its administrators (403)",
        "sns": "delivered",
    } == answer["channels"]
    assert (0, 1) == reported(stack)
    assert 0 == count(owner, "cron_alerts")


@pytest.mark.parametrize(("gone", "left"), [("ALERT_TOPIC_ARN", "slack"), ("SLACK_WEBHOOK_SECRET", "sns")])
def test_one_channel(stack: LocalStack, monkeypatch: pytest.MonkeyPatch, gone: str, left: str) -> None:
    """Any of the two may be absent."""
    monkeypatch.delenv(gone)
    assert {left: "delivered"} == ask(stack)["channels"]


def test_no_channel(stack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """An alert that no channel would send is not a success."""
    monkeypatch.delenv("ALERT_TOPIC_ARN")
    monkeypatch.delenv("SLACK_WEBHOOK_SECRET")
    assert {"status": "failed", "note": "test_alert", "channels": {}} == ask(stack)


def test_database_that_is_gone(stack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Testing the alerts needs no database."""
    monkeypatch.setenv("DATABASE_SECRET", "no-such-secret")
    assert "success" == ask(stack)["status"]
