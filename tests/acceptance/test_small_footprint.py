"""What a run costs around the scheduler, and the run without a scheduler function."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from handlers.wiring import common
from ops.local.server import Server, admin
from ops.local.stack import LocalStack
from reminders.database import Connection
from tests.factories import add_assignment, count, runs
from tests.helpers.events import DAY, recorded
from tests.proxy import Wire


@pytest.fixture
def wire(stack: LocalStack) -> Iterator[Wire]:
    """Between the cron function and PostgreSQL."""
    with Wire(stack.server.dsn("cron_runner", stack.database)) as wire:
        stack.aws.put_secret(stack.environment["DATABASE_SECRET"], wire.dsn)
        yield wire


def test_statements_of_an_empty_run(stack: LocalStack, wire: Wire) -> None:
    """Around the scheduler's call a run sends at most 12 statements."""
    stack.invoke({})
    assert len(wire.statements) <= 12, wire.statements


def test_statements_of_a_failing_run(stack: LocalStack, wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor more when it fails."""
    monkeypatch.setenv("REMINDER_FUNCTION_URL", stack.environment["REMINDER_FUNCTION_URL"] + "/nowhere")
    with pytest.raises(Exception, match="404"):
        stack.invoke({})
    assert len(wire.statements) <= 12, wire.statements


def test_nothing_is_set_for_a_session(stack: LocalStack, wire: Wire) -> None:
    """A pooler's server connection goes to the next client as it came: no SET but local ones, no session lock."""
    stack.invoke({})
    for statement in wire.statements:
        assert not statement.upper().startswith("SET ")
        assert "pg_advisory_lock" not in statement
        assert "set_config" not in statement or "true)" in statement


@pytest.fixture
def both_roles(server: Server, stack: LocalStack, database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No scheduler function: one login that is a member of both roles."""
    name = f"login_{uuid.uuid4().hex[:8]}"
    with admin(server, database) as superuser:
        superuser.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'x' IN ROLE cron_runner, reminder_scheduler".encode())
        own = f"cron_runner:{quote(server.password('cron_runner'), safe='')}"
        dsn = server.dsn("cron_runner", database).replace(own, f"{name}:x")
        stack.aws.put_secret(stack.environment["DATABASE_SECRET"], dsn)
        monkeypatch.delenv("REMINDER_FUNCTION_URL")
        monkeypatch.delenv("SCHEDULER_TOKEN_SECRET")
        yield
        superuser.execute(f"DROP ROLE {name}".encode())


@pytest.mark.usefixtures("both_roles")
def test_scheduler_in_process(stack: LocalStack, owner: Connection) -> None:
    """Without REMINDER_FUNCTION_URL the service runs beside the run, with the same result."""
    add_assignment(owner, 25, today=DAY)
    dry = stack.invoke(recorded("cron-dry-run"))
    summary = stack.invoke(recorded("cron-scheduler"))
    assert (2, "success", 2) == (dry["reminders_dispatched"], summary["status"], summary["reminders_dispatched"])
    assert (["success"], 2) == ([run["status"] for run in runs(owner)], count(owner, "notifications"))


@pytest.mark.usefixtures("both_roles")
def test_shards_in_process(stack: LocalStack, owner: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each shard has a connection of its own."""
    monkeypatch.setenv("SCHEDULER_SHARDS", "3")
    monkeypatch.setenv("BATCH_SIZE", "2")
    for _ in range(10):
        add_assignment(owner, 10, today=DAY)
    assert 10 == stack.invoke(recorded("cron-scheduler"))["reminders_dispatched"]


def test_secrets_are_fetched_once_while_warm(stack: LocalStack) -> None:
    """A second invocation of a warm function asks Secrets Manager nothing."""
    stack.invoke({})
    first = common.secrets()
    stack.aws.put_secret(stack.environment["DATABASE_SECRET"], "postgresql://cron_runner:hunter2@127.0.0.1:1/x")
    assert "success" == stack.invoke({})["status"]
    assert first is common.secrets()
