"""Each kind of invalid input gives an error that names the cause, and writes nothing partial."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
import stamina

from ops.local.database import apply_shim, create_database, drop_database
from ops.local.function_url import FunctionUrl
from ops.local.server import Server
from ops.local.stack import LocalStack
from reminders.database import Connection
from reminders.errors import DatabaseError, DatabaseUnavailable, EventError, SchedulerError, SecretError, SettingsError
from reminders.scheduling.client import PROBLEM
from tests.factories import add_assignment, count, runs
from tests.helpers.cases import first, table
from tests.helpers.events import recorded
from tests.helpers.stacks import InvokeProcess

NOWHERE = "postgresql://cron_runner:hunter2@127.0.0.1:1/reminders"


@pytest.fixture(autouse=True)
def due(owner: Connection) -> None:
    add_assignment(owner, 400)


def check_nothing_is_written(owner: Connection) -> None:
    """Neither a row of the ledger nor a notification."""
    assert (0, 0) == (count(owner, "cron_execution_logs"), count(owner, "notifications"))


@pytest.fixture
def nothing_written(owner: Connection) -> Iterator[None]:
    yield
    check_nothing_is_written(owner)


@table(
    ("event", "message"),
    [
        ({"hello": "world"}, "unknown key 'hello'; accepted are"),
        ({"dry_run": "yes"}, "dry_run must be true or false"),
        ({"as_of": "tomorrow"}, "as_of must be a date as in 2026-11-21, got 'tomorrow'"),
        ({"as_of": "2025-02-29"}, "as_of must be a date"),
        ({"scheduled_time": "<aws.scheduler.scheduled-time>"}, "scheduled_time must be an ISO 8601 time"),
        ({"as_of": "9999-12-31"}, "9999-12-31 00:00 UTC is in the future"),
        ([], "the event is not a JSON object"),
    ],
)
def test_event_that_is_refused(stack: LocalStack, owner: Connection, event: Any, message: str) -> None:
    """A refused event is no run."""
    with pytest.raises(EventError, match=message):
        stack.invoke(event)
    check_nothing_is_written(owner)


@pytest.mark.usefixtures("nothing_written")
def test_event_that_is_refused_in_a_process(invoke_process: InvokeProcess) -> None:
    """As the console shows it: the kind and the sentence."""
    process = invoke_process({"hello": "world"})
    out, err = process.communicate(timeout=60)
    failure = json.loads(err.splitlines()[-1])
    assert (1, "", "EventError") == (process.returncode, out, failure["errorType"])
    assert failure["errorMessage"].startswith("unknown key 'hello'; accepted are")


@pytest.mark.usefixtures("nothing_written")
def test_missing_setting(stack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Named."""
    monkeypatch.delenv("DATABASE_SECRET")
    with pytest.raises(SettingsError, match=r"^DATABASE_SECRET is not set$"):
        stack.invoke({})


@table("name", ["DATABASE_SECRET", "SCHEDULER_TOKEN_SECRET"])
def test_missing_secret(stack: LocalStack, owner: Connection, name: str) -> None:
    """The secret is named, with what Secrets Manager said."""
    message = r"^secret 'reminders/forgotten' could not be read: ResourceNotFoundException$"
    with pytest.MonkeyPatch.context() as patched, pytest.raises(SecretError, match=message):
        patched.setenv(name, "reminders/forgotten")
        stack.invoke({})
    check_nothing_is_written(owner)


@pytest.mark.usefixtures("nothing_written")
def test_secret_that_holds_something_else(stack: LocalStack) -> None:
    """JSON, as Secrets Manager's own database secrets are: the error says so, and does not show it."""
    stack.aws.put_secret(stack.environment["DATABASE_SECRET"], '{"username": "x", "password": "hunter2"}')
    with pytest.raises(DatabaseUnavailable, match=r"^the database secret does not hold a libpq URI$"):
        stack.invoke({})


def test_database_that_is_down_for_the_scheduler_alone(stack: LocalStack, owner: Connection) -> None:
    """The ledger keeps the scheduler's status and its words."""
    stack.aws.put_secret(stack.scheduler_environment["DATABASE_SECRET"], NOWHERE)
    message = "scheduler answered 503: Service Unavailable: database unreachable: connection refused"
    with stamina.set_testing(True, attempts=2), pytest.raises(SchedulerError, match=f"^{message}$"):
        stack.invoke({})
    (run,) = runs(owner)
    assert ("failed", 503, message, 1) == tuple(
        run[key] for key in ("status", "http_status", "error_message", "consecutive_failure_count")
    )
    assert 0 == count(owner, "notifications")


def test_wrong_token(stack: LocalStack, owner: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """401, and nothing dispatched."""
    stack.aws.put_secret("reminders/wrong-token", "guess")
    monkeypatch.setenv("SCHEDULER_TOKEN_SECRET", "reminders/wrong-token")
    with pytest.raises(SchedulerError, match=r"^scheduler answered 401: Unauthorized$"):
        stack.invoke({})
    assert [("failed", 401)] == [(run["status"], run["http_status"]) for run in runs(owner)]
    assert 0 == count(owner, "notifications")


@pytest.mark.parametrize(
    ("detail", "kept"),
    first(
        1,
        [
            ("out\x00of order", "out\\x00of order"),
            ("half \ud800 a pair", "half \\ud800 a pair"),
            ("\x1b[2J", "\\x1b[2J"),
        ],
    ),
)
def test_problem_that_cannot_be_stored(
    stack: LocalStack, owner: Connection, monkeypatch: pytest.MonkeyPatch, detail: str, kept: str
) -> None:
    """PostgreSQL stores no NUL and no half of a pair: the run is settled with the reason, made printable."""
    document = {"title": "Bad Gateway", "detail": detail}
    answer = {"statusCode": 500, "headers": {"content-type": PROBLEM}, "body": json.dumps(document)}
    with FunctionUrl(lambda event, context: answer) as service:
        monkeypatch.setenv("REMINDER_FUNCTION_URL", service.url)
        with pytest.raises(SchedulerError):
            stack.invoke({})
    (run,) = runs(owner)
    assert ("failed", f"scheduler answered 500: Bad Gateway: {kept}") == (run["status"], run["error_message"])


@pytest.fixture
def unmigrated(server: Server) -> Iterator[str]:
    """A Supabase database before the first migration."""
    name = create_database(server, f"bare_{uuid.uuid4().hex[:8]}")
    apply_shim(server, name)
    yield name
    drop_database(server, name)


def test_migrations_not_applied(stack: LocalStack, unmigrated: str) -> None:
    """The likeliest cause is said with PostgreSQL's own word."""
    stack.aws.put_secret(stack.environment["DATABASE_SECRET"], stack.server.dsn("cron_runner", unmigrated))
    with pytest.raises(DatabaseError, match=r"try_run_lock.* does not exist \(are the migrations applied\?\)$"):
        stack.invoke({})
    with psycopg.connect(stack.server.dsn(stack.server.superuser, unmigrated)) as connection:
        tables = "SELECT FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema', 'auth')"
        assert [] == connection.execute(tables).fetchall()


def test_migrations_not_applied_for_the_scheduler(stack: LocalStack, owner: Connection, unmigrated: str) -> None:
    """Its answer says so, too, and the ledger keeps it."""
    secret = stack.scheduler_environment["DATABASE_SECRET"]
    stack.aws.put_secret(secret, stack.server.dsn("reminder_scheduler", unmigrated))
    with pytest.raises(SchedulerError, match=r"reminder_private.* does not exist \(are the migrations applied\?\)$"):
        stack.invoke(recorded("cron-scheduler"))
    assert [("failed", 500)] == [(run["status"], run["http_status"]) for run in runs(owner)]


def test_lambda_with_too_little_time(stack: LocalStack, owner: Connection) -> None:
    """A run that has no time to work says so, and settles within what is left."""
    with pytest.raises(Exception, match=r"^deadline_exceeded: no time was left to go on dispatching$"):
        stack.invoke({}, seconds=5)
    assert [("failed", 0)] == [(run["status"], run["reminders_dispatched"]) for run in runs(owner)]
