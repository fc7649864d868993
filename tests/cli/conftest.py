"""
What the tests of the command share: the stack of `reminders local up` (`operated`, in tests/conftest.py), and for
broken set-ups a target of the test's own, on a database of its own.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from ops.cli import local_up
from ops.cli.local_state import LocalState
from ops.cli.local_target import Local
from ops.cli.targets import Asked
from ops.local.aws import Aws
from ops.local.server import Server
from ops.local.slack import Slack
from ops.local.stack import LocalStack


@pytest.fixture(autouse=True)
def quiet_functions(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the command sets for its own process ends here with the test."""
    monkeypatch.setenv("POWERTOOLS_LOG_LEVEL", "CRITICAL")
    monkeypatch.setenv("POWERTOOLS_METRICS_DISABLED", "true")
    for name in ("DATABASE_URL", "REMINDERS_STACK", "REMINDERS_DATABASE_SECRET"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def slack() -> Iterator[Slack]:
    with Slack() as running:
        yield running


@dataclass(slots=True)
class Site:
    """A stack in this process, to be broken, and the target that the command sees of it."""

    stack: LocalStack
    target: Local
    groups: list[str] = field(default_factory=list)

    def put(self, function: str, variable: str, value: str) -> None:
        """Give the secret that `variable` names another value."""
        self.stack.aws.put_secret(self.target.environment(function)[variable], value)

    def change_schedule(self, **changes: Any) -> None:
        """UpdateSchedule wants all of it."""
        client = self.stack.aws.client("scheduler")
        group, _, name = self.target.schedule_name.partition("/")
        whole = client.get_schedule(Name=name, GroupName=group)
        for key in ("Arn", "CreationDate", "LastModificationDate", "ResponseMetadata"):
            whole.pop(key, None)
        client.update_schedule(**{**whole, **changes})


@pytest.fixture
def site(server: Server, template: str, database: str, aws: Aws, slack: Slack) -> Site:
    stack = LocalStack(server, aws, database, slack)
    stack.configure({})
    name = local_up.make_schedule(stack, f"group-{uuid.uuid4().hex[:8]}")
    environments = local_up.environments(stack, local_up.admin_environment(stack, "s" * 48, "http://127.0.0.1:9"), name)
    copies = {function: dict(variables) for function, variables in environments.items()}
    return Site(stack, Local(LocalState(0, "", stack.owner_dsn, name, copies), Asked()))
