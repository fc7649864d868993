"""The local stack for one test, and what tests ask of it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from ops.local.aws import Aws
from ops.local.runtime_api import Runtime
from ops.local.server import Server
from ops.local.slack import Slack
from ops.local.stack import LocalStack
from reminders.database import Connection
from tests.helpers.waiting import eventually

InvokeProcess = Callable[..., subprocess.Popen[str]]


@contextmanager
def stack_on(server: Server, database: str, aws: Aws, slack: Slack, scheduler_url: str) -> Iterator[LocalStack]:
    """
    A stack on `database`; this process' environment is the cron function's.

    Its secrets have names of their own, so what this process and the scheduler have cached of others does not matter.
    """
    running = LocalStack(server, aws, database, slack)
    running.configure({})
    prefix = running.environment["DATABASE_SECRET"].rpartition("/")[0]
    running.environment["REMINDER_FUNCTION_URL"] = f"{scheduler_url}/{prefix}"
    with pytest.MonkeyPatch.context() as patched:
        for name, value in running.environment.items():
            patched.setenv(name, value)
        yield running


@dataclass
class Gate:
    """Closed, it stops each session that inserts a notification, until its lock_timeout of 5 s ends the statement."""

    keeper: Connection
    watcher: Connection

    def close(self) -> None:
        self.keeper.execute("SELECT pg_advisory_lock(4711)")

    def open(self) -> None:
        self.keeper.execute("SELECT pg_advisory_unlock_all()")

    def wait_for_a_session(self) -> None:
        waiting = "SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objid = 4711"
        assert eventually(lambda: bool(self.watcher.execute(waiting).fetchall()), 10)


Fail = Callable[[], None]


def reported(stack: LocalStack) -> tuple[int, int]:
    """How many messages have reached Slack and the topic."""
    return len(stack.slack.posted), len(stack.aws.published(stack.topic_arn))


Start = Callable[..., Runtime]
Kill = Callable[[LocalStack, str, object], int]
