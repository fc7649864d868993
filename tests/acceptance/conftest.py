"""The whole job: the cron function in this process or in its own, the scheduler behind real HTTP."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import Any

import psycopg
import pytest

from ops.local.aws import Aws
from ops.local.server import MIGRATOR, Server
from ops.local.slack import Slack
from ops.local.stack import LocalStack, function_process
from reminders.database import Connection
from reminders.runs.lock import RunLock
from tests.helpers.connections import AsRole
from tests.helpers.stacks import Gate, InvokeProcess, stack_on


@pytest.fixture(scope="session")
def scheduler_url(aws: Aws) -> Iterator[str]:
    with function_process(aws.environment(), "tests.acceptance.many_schedulers:handler") as url:
        yield url


@pytest.fixture(scope="session")
def slack() -> Iterator[Slack]:
    with Slack() as running:
        yield running


@pytest.fixture
def stack(server: Server, database: str, aws: Aws, slack: Slack, scheduler_url: str) -> Iterator[LocalStack]:
    """A stack on a database of the test's own."""
    with stack_on(server, database, aws, slack, scheduler_url) as running:
        yield running


@pytest.fixture(scope="module")
def shared_stack(
    server: Server, module_database: str, aws: Aws, slack: Slack, scheduler_url: str
) -> Iterator[LocalStack]:
    """One for a module's tests that write nothing."""
    with stack_on(server, module_database, aws, slack, scheduler_url) as running:
        yield running


@pytest.fixture
def invoke_process(stack: LocalStack) -> Iterator[InvokeProcess]:
    """Invokes the cron function in processes that end with the test."""
    with ExitStack() as processes:

        def invoke(event: object, **options: Any) -> subprocess.Popen[str]:
            process = processes.enter_context(stack.invoke_process(event, **options))
            processes.callback(process.kill)
            return process

        yield invoke


@pytest.fixture
def gate(server: Server, database: str, owner: Connection) -> Iterator[Gate]:
    owner.execute(
        """
        CREATE FUNCTION pass_the_gate() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN PERFORM pg_advisory_xact_lock_shared(4711); RETURN NULL; END $$;
        CREATE TRIGGER gate BEFORE INSERT ON notifications FOR EACH STATEMENT EXECUTE FUNCTION pass_the_gate();
        """
    )
    with psycopg.connect(server.dsn(MIGRATOR, database), autocommit=True) as keeper:
        yield Gate(keeper, owner)


@pytest.fixture
def as_cron_lock(as_role: AsRole) -> AbstractContextManager[bool]:
    """The run lock, held by another session while this is entered."""
    return RunLock(as_role("cron_runner")).lease(30)
