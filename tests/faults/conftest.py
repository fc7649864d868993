"""Processes to kill: a run at a named point of its code, or a whole case, at a step of its connections."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager

import pytest

from ops.local.aws import Aws
from ops.local.server import Server
from ops.local.slack import Slack
from ops.local.stack import LocalStack
from tests.faults.case_runner import Case, CaseRunner, MakeEnvironment
from tests.faults.environment import FaultEnvironment, fault_environment
from tests.faults.outcome import Outcome
from tests.faults.pgbouncer import PgBouncer, installed
from tests.faults.processes import Processes
from tests.helpers.stacks import Kill


@pytest.fixture(scope="session")
def run_killed(aws: Aws) -> Iterator[Kill]:
    """Runs the cron function until a point of `tests.faults.kill_points`, and answers how its process ended."""
    command = [sys.executable, "-m", "tests.faults.kill_points"]
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
    """Every run fails: in place of a scheduler Slack's own server answers 404. No tick is ever due."""
    with Slack() as slack:
        running = LocalStack(server, aws, database, slack)
        running.configure({"REMINDER_CRON_EXPRESSION": "cron(0 6 * * ? 2199)", "ALERT_TOPIC_ARN": ""})
        running.environment["REMINDER_FUNCTION_URL"] = slack.webhook.partition("/services/")[0]
        for name, value in running.environment.items():
            monkeypatch.setenv(name, value)
        yield running


@pytest.fixture(scope="session")
def processes() -> Iterator[Processes]:
    with Processes() as running:
        yield running


@pytest.fixture(scope="module")
def pooler(server: Server) -> Iterator[PgBouncer]:
    with PgBouncer(server) as running:
        yield running


@pytest.fixture(scope="module")
def make_environment(
    request: pytest.FixtureRequest, server: Server, template: str, processes: Processes
) -> MakeEnvironment:
    def make(pooled: bool) -> AbstractContextManager[FaultEnvironment]:
        return fault_environment(server, request.getfixturevalue("pooler") if pooled else None, template, processes)

    return make


@pytest.fixture(scope="module")
def case_runner(make_environment: MakeEnvironment) -> Iterator[CaseRunner]:
    running = CaseRunner(make_environment)
    yield running
    running.close()


@pytest.fixture
def outcome(case_runner: CaseRunner, case: Case) -> Outcome:
    """Of the case that the test is about."""
    if case.pooled and not installed():
        pytest.skip("pgbouncer is not installed (Debian: apt install pgbouncer)")
    return case_runner.outcome(case)
