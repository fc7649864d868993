"""An outage as the operators live it, through the real handler, over real HTTP; and webhooks that are dead."""

from __future__ import annotations

import time

import pytest

from handlers.wiring import common
from ops.local.slack import Slack, SlackResponse
from ops.local.stack import LocalStack
from reminders.database import Connection
from reminders.errors import SchedulerError
from tests.alerting import Behaviour, deliveries, dripping_body, dripping_header, silence, time_passes, webhook
from tests.factories import add_run, runs
from tests.helpers.cases import first
from tests.helpers.events import scheduled_event
from tests.helpers.stacks import Fail, reported

FAILURE = "assignment-reminder-cron: 2 runs in a row have failed"
RECOVERY = "assignment-reminder-cron: has recovered after 3 failed runs"
# 5 s of delivery; the rest is the run itself, on a busy machine.
LONGEST = 8.0


def failing_day(stack: LocalStack, day: int) -> None:
    with pytest.raises(SchedulerError, match=r"^scheduler answered 404: Not Found$"):
        stack.invoke(scheduled_event(day))


@pytest.fixture
def first_failure(stack: LocalStack, break_scheduler: Fail) -> None:
    """Day 0 has failed; one failure sends no alert."""
    break_scheduler()
    failing_day(stack, 0)
    assert (0, 0) == reported(stack)


@pytest.mark.usefixtures("first_failure")
def test_outage(stack: LocalStack, mend_scheduler: Fail) -> None:
    """Both channels get an alert at the second failure, not at its retry nor at the third, and one when it is over."""
    failing_day(stack, 1)
    assert (1, 1) == reported(stack)
    failing_day(stack, 1)
    failing_day(stack, 2)
    assert (1, 1) == reported(stack)
    mend_scheduler()
    assert "success" == stack.invoke(scheduled_event(3))["status"]
    assert "success" == stack.invoke(scheduled_event(4))["status"]
    assert [FAILURE, RECOVERY] == [message["text"] for message in stack.slack.posted]
    assert [FAILURE, RECOVERY] == [mail.subject for mail in stack.aws.published(stack.topic_arn)]


@pytest.mark.usefixtures("first_failure")
def test_outage_that_repeats(stack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """ALERT_THRESHOLD and ALERT_REPEAT_EVERY are heeded."""
    monkeypatch.setenv("ALERT_THRESHOLD", "3")
    monkeypatch.setenv("ALERT_REPEAT_EVERY", "2")
    counts = []
    for day in range(1, 6):
        failing_day(stack, day)
        counts.append(len(stack.slack.posted))
    assert [0, 1, 1, 2, 2] == counts
    assert "assignment-reminder-cron: still failing, 5 runs in a row" == stack.slack.posted[-1]["text"]


@pytest.mark.usefixtures("first_failure")
@pytest.mark.parametrize("behave", first(1, [silence, dripping_header]))
def test_failing_run_with_a_dead_webhook(stack: LocalStack, owner: Connection, behave: Behaviour) -> None:
    """The run ends in time with its own error and its own row; the topic got the alert, and Slack is tried again."""
    with webhook(behave) as url:
        replace_webhook(stack, url)
        began = time.monotonic()
        failing_day(stack, 1)
        took = time.monotonic() - began
    assert took < LONGEST
    assert [("failed", 1), ("failed", 2)] == [(r["status"], r["consecutive_failure_count"]) for r in runs(owner)]
    assert 1 == len(stack.aws.published(stack.topic_arn))
    assert (False, 1) == tuple(deliveries(owner)["slack"][key] for key in ("is_delivered", "attempts"))

    replace_webhook(stack, stack.slack.webhook)
    time_passes(owner)
    stack.watch()
    assert ([FAILURE], 1) == ([m["text"] for m in stack.slack.posted], len(stack.aws.published(stack.topic_arn)))


@pytest.mark.matrix
def test_successful_run_with_a_dead_webhook(stack: LocalStack, owner: Connection) -> None:
    """A success stays one: neither its answer nor its row shows anything of Slack's trouble."""
    add_run(owner, "failed", consecutive_failure_count=2)
    with webhook(dripping_body) as url:
        replace_webhook(stack, url)
        began = time.monotonic()
        summary = stack.invoke(scheduled_event(1))
        took = time.monotonic() - began
    assert took < LONGEST
    settled = next(run for run in runs(owner) if run["status"] == "success")
    assert ("success", None, str(settled["id"])) == (summary["status"], summary["note"], summary["run_id"])
    # The run is settled before an alert is sent.
    assert summary["duration_ms"] < 4_000
    assert "recovery" in [mail.attributes["kind"]["Value"] for mail in stack.aws.published(stack.topic_arn)]


def replace_webhook(stack: LocalStack, url: str) -> None:
    """A new secret, and a new process that reads it."""
    stack.aws.put_secret(stack.environment["SLACK_WEBHOOK_SECRET"], url)
    common.secrets.cache_clear()


@pytest.mark.usefixtures("first_failure")
def test_webhook_that_is_replaced_while_the_function_is_warm(stack: LocalStack, owner: Connection) -> None:
    """The old one answers 404; the secret is read afresh, and the alert goes to the new one in the same run."""
    assert {"channels": {"slack": "delivered", "sns": "delivered"}}.items() <= stack.invoke(
        {"action": "test_alert"}
    ).items()
    with Slack() as new:
        stack.aws.put_secret(stack.environment["SLACK_WEBHOOK_SECRET"], new.webhook)
        stack.slack.response = SlackResponse(404, b"no_service")
        failing_day(stack, 1)
        assert [FAILURE] == [message["text"] for message in new.posted]
    assert deliveries(owner)["slack"]["is_delivered"]


@pytest.mark.usefixtures("first_failure")
def test_alert_that_the_next_run_sends(stack: LocalStack, owner: Connection) -> None:
    """What Slack did not take is sent by the next run, before its own news; the topic gets nothing twice."""
    stack.slack.response = SlackResponse(503)
    failing_day(stack, 1)
    assert (0, 1) == reported(stack)
    stack.slack.response = SlackResponse()
    time_passes(owner)
    failing_day(stack, 2)
    assert (1, 1) == reported(stack)
