"""The built artifacts under AWS' runtime client, with PostgreSQL, moto and the scheduler's URL around them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from ops.local.aws import Aws
from ops.local.function_url import FunctionUrl
from ops.local.runtime_api import Runtime
from ops.local.seed import seed
from ops.local.server import Server
from ops.local.stack import LocalStack
from ops.tools.build.local import Built, build_missing
from ops.tools.build.pythons import BuildError
from reminders.database import Connection
from tests.factories import TODAY
from tests.helpers.stacks import Start

FOLDER = Path(__file__).resolve().parent


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build before the first test, whose time limit is not meant for that. What is built already is used again."""
    if not session.config.option.collectonly and any(FOLDER in item.path.parents for item in session.items):
        with suppress(BuildError):  # the fixture raises it
            build_missing()


@pytest.fixture(scope="session")
def artifacts() -> Built:
    return build_missing()


@pytest.fixture
def start(artifacts: Built) -> Iterator[Start]:
    """Starts functions that end with the test."""
    with ExitStack() as stack:

        def begin(function: str, environment: Mapping[str, str], **more: str) -> Runtime:
            return stack.enter_context(artifacts.start(function, {**environment, **more}))

        yield begin


@pytest.fixture
def stack(server: Server, template: str, database: str, aws: Aws) -> Iterator[LocalStack]:
    """PostgreSQL, secrets, topic and webhook for one test, and what the functions' environments say of them."""
    running = LocalStack(server, aws, database)
    running.configure({})
    with running.slack:
        yield running


@pytest.fixture
def assignments(owner: Connection) -> int:
    """Two hundred assignments, some due on the tick's day."""
    seed(owner, assignments=200, today=TODAY)
    return 200


@pytest.fixture
def scheduler_url(stack: LocalStack, start: Start) -> Iterator[str]:
    """The scheduler artifact's Function URL."""
    scheduler = start("scheduler", stack.scheduler_environment)

    def call(event: Any, _: object) -> Any:
        answer = scheduler.invoke(event)
        if answer.kind != "response":
            raise RuntimeError(f"scheduler: {answer.payload}")
        return answer.payload

    with FunctionUrl(call) as url:
        yield url.url


@pytest.fixture
def cron(stack: LocalStack, start: Start, scheduler_url: str) -> Runtime:
    """The cron artifact, which calls the scheduler artifact."""
    return start("cron", stack.environment, REMINDER_FUNCTION_URL=scheduler_url)
