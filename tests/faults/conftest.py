"""The cron function and the watchdog on a database of the test's own; every run fails, Slack alone is told."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from ops.local.aws import Aws
from ops.local.server import Server
from ops.local.slack import Slack
from ops.local.stack import LocalStack

Kill = Callable[[LocalStack, str, object], int]


@pytest.fixture(scope="session")
def run_killed(aws: Aws) -> Iterator[Kill]:
    """Runs the cron function until a point of `tests.faults.killed`, and tells how its process ended."""
    command = [sys.executable, "-m", "tests.faults.killed"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin and process.stdout
        orders, answers = process.stdin, process.stdout

        def run(stack: LocalStack, point: str, event: object) -> int:
            order = {"point": point, "event": event, "environment": stack.environment}
            print(json.dumps(order), file=orders, flush=True)
            return int(answers.readline())

        yield run


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
        yield running
