"""The process lives on, and what it depends on does not work: the whole job, with a Slack of the test's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import pytest

from handlers import unrecorded
from ops.local.aws import Aws
from ops.local.server import Server, admin
from ops.local.slack import Slack
from ops.local.stack import LocalStack, scheduler_process
from reminders.database import Connection
from tests.acceptance.conftest import stack_on
from tests.faults.alive.days import Days, populate
from tests.faults.alive.faulty import Faulty


@pytest.fixture(scope="session")
def door(aws: Aws) -> Iterator[str]:
    """The scheduler, a process of its own."""
    with scheduler_process(aws.environment(), "tests.faults.alive.door:handler") as url:
        yield url


@pytest.fixture
def stack(
    server: Server, template: str, database: str, aws: Aws, door: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[LocalStack]:
    """It alerts at the first failure, and only Slack is told."""
    monkeypatch.setattr(unrecorded, "_told", set())
    monkeypatch.setenv("ALERT_THRESHOLD", "1")
    with Slack() as slack, stack_on(server, database, aws, slack, door) as running:
        monkeypatch.setenv("ALERT_TOPIC_ARN", "")
        yield running


@pytest.fixture
def assignments(owner: Connection) -> list[UUID]:
    """Those whom a reminder is due for, in order."""
    return populate(owner)


@pytest.fixture
def days(stack: LocalStack, owner: Connection, assignments: list[UUID]) -> Days:
    return Days(stack, owner)


@pytest.fixture
def faulty(stack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> Iterator[Faulty]:
    """Before the scheduler's door."""
    url = stack.environment["REMINDER_FUNCTION_URL"]
    origin = url.partition("/reminders/")[0]
    with Faulty(origin) as running:
        monkeypatch.setenv("REMINDER_FUNCTION_URL", url.replace(origin, running.url))
        yield running


@contextmanager
def setting(server: Server, database: str, text: str, role: str | None = None) -> Iterator[None]:
    """A database's setting, or a role's in it; it holds for sessions to come."""
    where = f"ROLE {role} IN DATABASE {database}" if role else f"DATABASE {database}"
    with admin(server) as connection:
        connection.execute(f"ALTER {where} SET {text}".encode())
        yield
        connection.execute(f"ALTER {where} RESET {text.split(' ', maxsplit=1)[0]}".encode())
