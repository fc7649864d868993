"""The cron function and the watchdog on a database of the test's own; every run fails, Slack alone is told."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from handlers.wiring import common
from ops.local.aws import Aws
from ops.local.server import Server
from ops.local.slack import Slack
from ops.local.stack import LocalStack


@pytest.fixture
def stack(
    server: Server, template: str, database: str, aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> Iterator[LocalStack]:
    """No scheduler: Slack's own server answers 404 in its place, and no tick is ever due."""
    with Slack() as slack:
        running = LocalStack(server, aws, database, slack)
        running.configure({"REMINDER_CRON_EXPRESSION": "cron(0 6 * * ? 2199)", "ALERT_TOPIC_ARN": ""})
        running.environment["REMINDER_FUNCTION_URL"] = slack.webhook.partition("/services/")[0]
        for name, value in running.environment.items():
            monkeypatch.setenv(name, value)
        common.secrets.cache_clear()
        yield running
