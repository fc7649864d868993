"""
What the tests of the command share: the stack of `reminders local up` (`operated`, in tests/conftest.py), and for
broken set-ups a target of the test's own, on a database of its own.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from ops.cli.local import up
from ops.cli.local_state import LocalState
from ops.cli.targets.base import TargetOptions
from ops.cli.targets.local import Local
from ops.local import messages
from ops.local.aws import Aws
from ops.local.server import Server
from ops.local.slack import Slack
from ops.local.stack import LocalStack
from tests.cli.site import Site


@pytest.fixture(autouse=True)
def quiet_functions(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the command sets for its own process ends here with the test."""
    monkeypatch.setenv("POWERTOOLS_LOG_LEVEL", "CRITICAL")
    monkeypatch.setenv("POWERTOOLS_METRICS_DISABLED", "true")
    monkeypatch.setenv("PGDATESTYLE", "ISO, MDY")
    for name in ("DATABASE_URL", "REMINDERS_STACK", "REMINDERS_DATABASE_SECRET"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def slack() -> Iterator[Slack]:
    with Slack() as running:
        yield running


@pytest.fixture
def site(server: Server, template: str, database: str, aws: Aws, slack: Slack) -> Site:
    stack = LocalStack(server, aws, database, slack)
    stack.configure({})
    name = up.make_schedule(stack, f"group-{uuid.uuid4().hex[:8]}")
    admin = up.admin_environment(stack, "s" * 48, "http://127.0.0.1:9")
    environments = up.environments(stack, {"admin": admin, **messages.environments(stack)}, name)
    copies = {function: dict(variables) for function, variables in environments.items()}
    return Site(stack, Local(LocalState(0, stack.owner_dsn, name, copies), TargetOptions()))
