"""Processes to kill: a run at a named point of its code, or a whole case in a lane, at a step of its connections."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest

from ops.local.aws import Aws
from ops.local.server import Server
from ops.local.slack import Slack
from ops.local.stack import LocalStack
from tests.faults.aftermath import Aftermath
from tests.faults.arena import Arena, Case, MakeLane
from tests.faults.forks import Forks
from tests.faults.lane import Lane, lane
from tests.faults.pooler import PgBouncer, installed

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
    """Every run fails: in place of a scheduler Slack's own server answers 404. No tick is ever due."""
    with Slack() as slack:
        running = LocalStack(server, aws, database, slack)
        running.configure({"REMINDER_CRON_EXPRESSION": "cron(0 6 * * ? 2199)", "ALERT_TOPIC_ARN": ""})
        running.environment["REMINDER_FUNCTION_URL"] = slack.webhook.partition("/services/")[0]
        for name, value in running.environment.items():
            monkeypatch.setenv(name, value)
        yield running


@pytest.fixture(scope="session")
def forks() -> Iterator[Forks]:
    with Forks() as running:
        yield running


@pytest.fixture(scope="module")
def pooler(server: Server) -> Iterator[PgBouncer]:
    with PgBouncer(server) as running:
        yield running


@pytest.fixture(scope="module")
def make_lane(request: pytest.FixtureRequest, server: Server, template: str, forks: Forks) -> MakeLane:
    def make(pooled: bool) -> AbstractContextManager[Lane]:
        return lane(server, request.getfixturevalue("pooler") if pooled else None, template, forks)

    return make


@pytest.fixture(scope="module")
def arena(request: pytest.FixtureRequest, make_lane: MakeLane) -> Iterator[Arena]:
    """For the cases of this module that were chosen; its WIDTH says how many at a time."""
    module = request.node.obj
    chosen = [item for item in request.session.items if getattr(item, "module", None) is module]
    cases = [item.callspec.params["case"] for item in chosen if hasattr(item, "callspec")]
    playable = [case for case in cases if installed() or not case.pooled]
    running = Arena(make_lane, playable, module.WIDTH)
    yield running
    running.close()


@pytest.fixture
def aftermath(arena: Arena, case: Case) -> Aftermath:
    """Of the case that the test is about."""
    if case.pooled and not installed():
        pytest.skip("pgbouncer is not installed (Debian: apt install pgbouncer)")
    return arena.aftermath(case)
