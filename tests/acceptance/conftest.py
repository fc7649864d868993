"""The whole job: the cron function in this process or in its own, the scheduler behind real HTTP."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any

import psycopg
import pytest

from ops.cli.local import events
from ops.local.aws import Aws
from ops.local.server import MIGRATOR, Server
from ops.local.slack import Slack
from ops.local.stack import LocalStack, scheduler_process
from reminders.database import Connection
from reminders.runs.lock import RunLock
from tests.conftest import AsRole
from tests.factories import TODAY
from tests.ops.helpers import eventually

DAY = TODAY
EVENTS = Path(__file__).resolve().parent.parent.parent / "infra" / "events"
InvokeProcess = Callable[..., subprocess.Popen[str]]


# What the sample events leave open, and is no secret. The rest stays as it stands.
MOMENTS = events.moments(datetime.combine(DAY, time(6), UTC))


def recorded(name: str) -> Any:
    """An event of infra/events, of `DAY` at 06:00."""
    return json.loads(events.fill((EVENTS / f"{name}.json").read_text(), MOMENTS))


@pytest.fixture(scope="session")
def door(aws: Aws) -> Iterator[str]:
    with scheduler_process(aws.environment(), "tests.acceptance.door:handler") as url:
        yield url


@pytest.fixture(scope="session")
def slack() -> Iterator[Slack]:
    with Slack() as running:
        yield running


@contextmanager
def stack_on(server: Server, database: str, aws: Aws, slack: Slack, door: str) -> Iterator[LocalStack]:
    """
    A stack on `database`; this process' environment is the cron function's.

    Its secrets have names of their own, so what this process and the door have cached of others is no matter.
    """
    running = LocalStack(server, aws, database, slack)
    running.configure({})
    prefix = running.environment["DATABASE_SECRET"].rpartition("/")[0]
    running.environment["REMINDER_FUNCTION_URL"] = f"{door}/{prefix}"
    with pytest.MonkeyPatch.context() as patched:
        for name, value in running.environment.items():
            patched.setenv(name, value)
        yield running


@pytest.fixture
def stack(server: Server, database: str, aws: Aws, slack: Slack, door: str) -> Iterator[LocalStack]:
    """A stack on a database of the test's own."""
    with stack_on(server, database, aws, slack, door) as running:
        yield running


@pytest.fixture(scope="module")
def shared_stack(server: Server, module_database: str, aws: Aws, slack: Slack, door: str) -> Iterator[LocalStack]:
    """One for a module's tests that write nothing."""
    with stack_on(server, module_database, aws, slack, door) as running:
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


@dataclass
class Gate:
    """Closed, it stops whoever inserts a notification, for 5 s at most: then the statement's lock_timeout strikes."""

    keeper: Connection
    watcher: Connection

    def close(self) -> None:
        self.keeper.execute("SELECT pg_advisory_lock(4711)")

    def open(self) -> None:
        self.keeper.execute("SELECT pg_advisory_unlock_all()")

    def wait_for_somebody(self) -> None:
        waiting = "SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objid = 4711"
        assert eventually(lambda: bool(self.watcher.execute(waiting).fetchall()), 10)


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
    """The run lock, held by somebody else; to be entered."""
    return RunLock(as_role("cron_runner")).lease(30)
