"""The process lives on, and what it depends on does not work: the whole job, with a Slack of the test's own."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

import pytest

from handlers.wiring.alerts import unrecorded_failures
from ops.local.aws import Aws
from ops.local.server import Server
from ops.local.slack import Slack
from ops.local.stack import LocalStack, function_process
from reminders.database import Connection
from tests.faults.dependencies.days import Days, populate
from tests.faults.dependencies.faulty_service import FaultyService
from tests.helpers.stacks import stack_on


@pytest.fixture(scope="session")
def scheduler_url(aws: Aws) -> Iterator[str]:
    """The scheduler, a process of its own."""
    with function_process(aws.environment(), "tests.faults.dependencies.impatient_scheduler:handler") as url:
        yield url


@pytest.fixture
def stack(
    server: Server, template: str, database: str, aws: Aws, scheduler_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[LocalStack]:
    """It alerts at the first failure, and only to Slack."""
    unrecorded_failures.cache_clear()
    monkeypatch.setenv("ALERT_THRESHOLD", "1")
    with (
        Slack() as slack,
        stack_on(server, database, aws, slack, scheduler_url) as running,
        # Undone before the stack's own variables are: `monkeypatch` would put them back afterwards.
        pytest.MonkeyPatch.context() as patched,
    ):
        patched.setenv("ALERT_TOPIC_ARN", "")
        yield running


@pytest.fixture
def assignments(owner: Connection) -> list[UUID]:
    """Those whom a reminder is due for, in order."""
    return populate(owner)


@pytest.fixture
def days(stack: LocalStack, owner: Connection, assignments: list[UUID]) -> Days:
    return Days(stack, owner)


@pytest.fixture
def faulty(stack: LocalStack) -> Iterator[FaultyService]:
    """Between the cron function and the scheduler."""
    url = stack.environment["REMINDER_FUNCTION_URL"]
    origin = url.partition("/reminders/")[0]
    with FaultyService(origin) as running, pytest.MonkeyPatch.context() as patched:
        patched.setenv("REMINDER_FUNCTION_URL", url.replace(origin, running.url))
        yield running
