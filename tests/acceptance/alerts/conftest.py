"""The whole job with its alerts: a Slack and a topic of the test's own, and ways to make things fail."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest

from handlers.wiring.alerts import unrecorded_failures
from ops.local.slack import Slack
from ops.local.stack import LocalStack
from tests.helpers.stacks import Fail


@pytest.fixture
def slack() -> Iterator[Slack]:
    with Slack() as running:
        yield running


@pytest.fixture
def stack(stack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> LocalStack:
    """Nothing was reported before, and no scheduled time is ever due."""
    stack.topic_arn = stack.aws.create_topic(f"alerts-{uuid4().hex[:8]}")
    stack.environment |= {"ALERT_TOPIC_ARN": stack.topic_arn, "REMINDER_CRON_EXPRESSION": "cron(0 6 * * ? 2199)"}
    for name, value in stack.environment.items():
        monkeypatch.setenv(name, value)
    unrecorded_failures.cache_clear()
    return stack


@pytest.fixture
def break_scheduler(stack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> Fail:
    """From now on it answers 404."""
    return lambda: monkeypatch.setenv("REMINDER_FUNCTION_URL", f"{stack.environment['REMINDER_FUNCTION_URL']}/nowhere")


@pytest.fixture
def mend_scheduler(stack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> Fail:
    return lambda: monkeypatch.setenv("REMINDER_FUNCTION_URL", stack.environment["REMINDER_FUNCTION_URL"])
